"""Whole runs on images in memory: fit, advise, evaluate, resume, report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import frostline
from frostline.core.errors import InputError, RunFolderError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fast(tiny_network: dict[str, Any]) -> dict[str, Any]:
    return {"effort": "fast", **tiny_network}


def source() -> dict[str, tuple[Any, Any]]:
    """Real digits 0, 1 and 2: 60 to learn from, 40 to judge by."""
    data = load_digits(n_class=3)
    images = (data.images[:100] * 15.9).astype(np.uint8)
    labels = [f"digit {label}" for label in data.target[:100]]
    return {"train": (images[:60], labels[:60]), "test": (images[60:], labels[60:])}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, fast: dict[str, Any]) -> Path:
    folder = tmp_path_factory.mktemp("objects") / "run"
    result = frostline.fit(source(), folder, **fast)
    assert result.metrics["test"]["method"] == "given"
    assert result.metrics["test"]["accuracy"] > 0.9
    assert result.classes == ("digit 0", "digit 1", "digit 2")
    return folder


def test_the_run_folder_names_images_and_source(run: Path) -> None:
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows[:2]] == ["test/image 0", "test/image 1"]
    record = json.loads((run / "report.json").read_text())
    command = record["provenance"]["command"]
    # no command line can name images in memory
    assert command.startswith("frostline.fit(source, ")
    assert "effort='fast'" in command
    assert command.endswith("# source: train: ndarray of 60 images, test: ndarray of 40 images")
    assert "frostline.fit(source" in (run / "report.html").read_text()


def test_the_same_images_in_files_find_what_is_stored(
    run: Path, tmp_path: Path, fast: dict[str, Any]
) -> None:
    parts = source()
    again = frostline.fit(parts, tmp_path / "again", **fast)
    assert again.metrics["images_computed"] == 0
    images, labels = parts["test"]
    pillow = [Image.fromarray(image) for image in images]
    found = frostline.evaluate(run, (pillow, labels))
    assert found.scores.accuracy == again.metrics["test"]["accuracy"]
    with pytest.raises(InputError, match="does not know the class 'x'"):
        frostline.evaluate(run, (pillow, ["x"] * len(pillow)))


def test_a_finished_run_is_kept(run: Path, fast: dict[str, Any]) -> None:
    with pytest.raises(RunFolderError, match="finished run"):
        frostline.fit(source(), run, **fast)


def test_advice_on_arrays(fast: dict[str, Any]) -> None:
    assert frostline.advise(source()["train"], **fast).plan.case in (1, 2, 3, 4)
