"""Run folders as finished runs leave them, with predictions that a test chooses."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.core.arrays import FloatArray
from frostline.core.score_record import ScoreSummary
from frostline.model_format.model_folder import load_card
from frostline.run.manifest import COLUMNS as MANIFEST_COLUMNS
from frostline.run.predictions import COLUMNS, write_numbers
from frostline.stats.decision_rule import LIKELIEST
from frostline.targets.choose import target_of

MODEL = Path(__file__).parents[1] / "model" / "released" / "format-6"

MakeRun = Callable[..., Path]


def kept_run(
    folder: Path,
    predictions: FloatArray,
    truth: np.ndarray,
    *,
    classes: Sequence[str] = ("a", "b", "c"),
    task: Any = "single",
    method: str = "held-out",
    names: Sequence[str] | None = None,
    taught: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    near: Sequence[Sequence[str]] = (),
    source: Path | None = None,
    numbers: bool = True,
) -> Path:
    """Write a run that judged some images; the digest of an image is that of its name."""
    n = len(truth)
    names = [f"{i:05d}.png" for i in range(n)] if names is None else list(names)
    groups = [""] * n if groups is None else list(groups)
    shutil.copytree(MODEL, folder / "model")
    target = target_of(task, len(classes))
    n_train = n if method == "cross-validation" else max(1, len(taught))
    card = load_card(MODEL).model_copy(
        update={
            "classes": tuple(classes),
            "task": task,
            "n_train": n_train,
            "test": ScoreSummary(method=method, n=n),
            **dict.fromkeys(("sets", "abstention", "intervals")),
            "shares": (),
            "rule": LIKELIEST,
            "at_most_wrong": None,
        }
    )
    (folder / "model" / "model.json").write_text(card.to_json(), encoding="utf-8")
    decided = target.decide(predictions)
    sure = target.sureness(predictions, decided)
    said = [target.said(one, classes) for one in (truth, decided)]
    confidence = [""] * n if sure is None else [f"{one:.6f}" for one in sure]
    write_csv(folder / "predictions.csv", COLUMNS, zip(names, *said, confidence, strict=True))
    if numbers:
        table = folder / "predictions.csv"
        write_numbers(folder / "predictions.safetensors", table, predictions)
    part = "train" if method == "cross-validation" else "test"
    judged = [(nm, f"#{nm}", s, part, g) for nm, s, g in zip(names, said[0], groups, strict=True)]
    teaching = [(nm, f"#{nm}", "a", "train", "") for nm in (taught or ["only.png"])]
    rows = judged if method == "cross-validation" else [*judged, *teaching]
    write_csv(folder / "catalog.csv", MANIFEST_COLUMNS, rows)
    (folder / "metrics.json").write_text("{}")
    (folder / "audit.json").write_text(json.dumps({"near_duplicates": [list(one) for one in near]}))
    if source is not None:
        (folder / "settings.json").write_text(json.dumps({"source": str(source)}))
    return folder


def write_csv(path: Path, header: Sequence[str], rows: Any) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def probabilities(truth: np.ndarray, right: float, seed: int, k: int = 3) -> FloatArray:
    """Return probabilities (n, k) whose likeliest class is right so often."""
    rng = np.random.default_rng(seed)
    other = (truth + rng.integers(1, k, len(truth))) % k
    answers = np.where(rng.random(len(truth)) < right, truth, other)
    sure = rng.uniform(0.5, 0.95, len(truth))
    found = np.repeat((1 - sure)[:, None] / (k - 1), k, axis=1)
    found[np.arange(len(truth)), answers] = sure
    return found


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run into a folder by name; see :func:`kept_run`."""

    def made(name: str, *args: Any, **options: Any) -> Path:
        return kept_run(tmp_path / name, *args, **options)

    return made
