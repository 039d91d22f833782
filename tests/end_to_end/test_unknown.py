"""Images unlike everything in training are flagged, and those like it are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from typer.testing import CliRunner

import frostline
from frostline.cli.main import app
from frostline.fitting.run_result import RunResult
from frostline.model.prediction import Prediction
from tests.model.kept_ood_scorer import load_familiarity

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitted(
    tmp_path_factory: pytest.TempPathFactory, digits_into: Callable[..., None]
) -> tuple[RunResult, list[Path]]:
    """A model of 240 digits, and 180 others of the same kind."""
    folder = tmp_path_factory.mktemp("many")
    digits_into(folder / "all", per_class=140)
    rows, others = ["path,label"], []
    for place in sorted((folder / "all").iterdir()):
        # in no order: those who wrote first write alike
        files = [sorted(place.iterdir())[i] for i in np.random.default_rng(0).permutation(140)]
        rows += [f"{path},{place.name}" for path in files[:80]]
        others += files[80:]
    (folder / "table.csv").write_text("\n".join(rows))
    result = frostline.fit(folder / "table.csv", folder / "run", effort="fast", input_size="96")
    return result, others


def scores(result: RunResult, images: object) -> np.ndarray:
    found = result.model.predict_each(images)  # type: ignore[arg-type]
    return np.array([r.unfamiliarity for r in found if isinstance(r, Prediction)], dtype=float)


def test_images_of_the_same_kind_stay_in(fitted: tuple[RunResult, list[Path]]) -> None:
    result, others = fitted
    kept = np.mean(scores(result, others) <= 1.0)
    assert 0.88 <= kept <= 1.0
    assert result.metrics["unknown"]["n_threshold"] == 240
    assert result.metrics["unknown"]["rough"] is False
    card = json.loads((result.folder / "model" / "model.json").read_text())
    assert card["format_version"] == 6
    assert card["familiar"]["n_threshold"] == 240


def test_noise_photographs_and_empty_images_are_unknown(
    fitted: tuple[RunResult, list[Path]],
) -> None:
    result, _ = fitted
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(5)]
    empty = [np.full((64, 64, 3), grey, dtype=np.uint8) for grey in (0, 90, 255)]
    assert np.all(scores(result, [*noise, *empty, *load_sample_images().images]) > 1.0)


def test_the_numbers_travel_and_are_small(fitted: tuple[RunResult, list[Path]]) -> None:
    result, _ = fitted
    assert (result.folder / "model" / "familiar.safetensors").stat().st_size < 2_000_000
    ood_scorer = load_familiarity(result.folder)
    assert ood_scorer is not None
    assert len(ood_scorer.regions[0].known) == 240


def test_the_metrics_say_what_calibration_changed(fitted: tuple[RunResult, list[Path]]) -> None:
    test = fitted[0].metrics["test"]
    found = test["calibration"]
    assert found["after"] == {"ece": test["ece"], "nll": test["nll"]}
    assert found["before"]["nll"] > found["after"]["nll"]
    assert 0 < found["ece_by_chance"] < 0.1
    report = (fitted[0].folder / "report.html").read_text()
    assert "called unknown" in report


def test_the_command_line_names_them(fitted: tuple[RunResult, list[Path]], tmp_path: Path) -> None:
    result, others = fitted
    strange = tmp_path / "strange.png"
    Image.fromarray(load_sample_images().images[0]).save(strange)
    run = str(result.folder)
    runner = CliRunner()
    known = next(p for p, s in zip(others, scores(result, others), strict=True) if s < 1)
    said = runner.invoke(app, ["predict", run, str(known), str(strange), "--json"])
    answers = json.loads(said.stdout)
    assert [answer["unknown"] for answer in answers] == [False, True]
    assert answers[1]["unfamiliarity"] > 1
    said = runner.invoke(app, ["predict", run, str(known), str(strange), "--csv"])
    lines = said.stdout.splitlines()
    assert lines[0].startswith("path,label,confidence,unknown,unfamiliarity,digit 0")
    assert [line.split(",")[3] for line in lines[1:]] == ["false", "true"]
    said = runner.invoke(app, ["predict", run, str(known), str(strange)])
    assert "unknown: unlike everything in training" in " ".join(said.stdout.split())
    assert "unknown" not in runner.invoke(app, ["predict", run, str(known)]).stdout


def test_trained_layers_learn_it_from_their_validation_part(
    tmp_path: Path, digit_folder: Path, tiny_network: dict[str, Any]
) -> None:
    result = frostline.fit(
        digit_folder, tmp_path / "run", strategy="finetune", epochs=1, **tiny_network
    )
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    assert np.all(scores(result, noise) > 1.0)
    assert result.metrics["unknown"]["rough"] is True
    paths = sorted(digit_folder.rglob("*.png"))
    assert np.mean(scores(result, paths) <= 1.0) > 0.85
