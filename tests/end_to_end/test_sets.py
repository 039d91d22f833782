"""Prediction sets and abstention, from a fit to every face of its model."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import frostline
from frostline.cli.main import app
from frostline.cli.show import operating_rows
from frostline.fitting.run_result import RunResult
from frostline.model.prediction import Prediction

_CLASSES = (3, 8, 9)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits that are hard to tell apart: 105 of each to learn from, 50 to judge."""
    folder = tmp_path_factory.mktemp("noisy")
    data, rng = load_digits(), np.random.default_rng(0)
    for name in _CLASSES:
        rows = np.flatnonzero(data.target == name)
        for part, chosen in (("train", rows[:105]), ("test", rows[-50:])):
            (folder / part / str(name)).mkdir(parents=True)
            for row in chosen:
                pixels = data.images[row] * 15.9 + rng.normal(scale=60.0, size=(8, 8))
                grey = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                grey.resize((64, 64)).save(folder / part / str(name) / f"{row}.png")
    return folder


@pytest.fixture(scope="module")
def fitted(noisy: Path, tiny_network: dict[str, Any], tmp_path_factory: Any) -> RunResult:
    folder = tmp_path_factory.mktemp("sets") / "run"
    return frostline.fit(noisy, folder, effort="fast", at_most_wrong=0.1, **tiny_network)


def _judged(noisy: Path) -> tuple[list[Path], list[str]]:
    paths = sorted((noisy / "test").rglob("*.png"))
    return paths, [path.parent.name for path in paths]


def _told(run: RunResult, paths: list[Path]) -> list[Prediction]:
    return [one for one in run.model.predict_each(paths) if isinstance(one, Prediction)]


def test_a_run_says_how_often_its_sets_and_answers_hold(fitted: RunResult, noisy: Path) -> None:
    sets, abstention = fitted.metrics["sets"], fitted.metrics["abstention"]
    assert (sets["scoring"], sets["n_images"], sets["n_own"]) == ("cross", 315, 3)
    # images that judge set no threshold: what the model says of them anew is what is told
    paths, truth = _judged(noisy)
    found = _told(fitted, paths)
    sizes = [len(one.set_95 or ()) for one in found]
    held = np.mean([label in (one.set_95 or ()) for one, label in zip(found, truth, strict=True)])
    assert sets["coverage"] == pytest.approx(held, abs=0.012)
    assert sets["mean_size"] == pytest.approx(np.mean(sizes), abs=0.03)
    answered = [not one.abstain for one in found]
    assert abstention["chosen"]["answered"] == pytest.approx(np.mean(answered), abs=0.012)
    assert 0.05 < abstention["chosen"]["answered"] < 0.98
    bounds = [point["at_most_wrong"] for point in abstention["curve"]]
    assert 0.1 in bounds
    shares = [point["answered"] for point in abstention["curve"]]
    assert shares == sorted(shares)
    # 150 images tell a coverage of 95 % to some points
    assert 0.9 <= sets["coverage"] <= 1.0
    assert "answered" in str(operating_rows(fitted.record.metrics)[1][1])


def test_predict_prints_them_and_takes_other_bounds_and_shares(
    fitted: RunResult, noisy: Path
) -> None:
    paths = _judged(noisy)[0][::9]
    run = [str(fitted.folder), *map(str, paths)]
    asked = CliRunner().invoke(app, ["predict", *run, "--json"])
    assert asked.exit_code == 0, asked.output
    said = json.loads(asked.stdout)
    assert all(one["label"] in one["set_95"] for one in said)
    assert {one["abstain"] for one in said} == {True, False}
    table = CliRunner().invoke(app, ["predict", *run, "--csv"])
    rows = list(csv.DictReader(table.stdout.splitlines()))
    assert [json.loads(row["set_95"]) for row in rows] == [one["set_95"] for one in said]
    assert [row["abstain"] == "true" for row in rows] == [one["abstain"] for one in said]
    other = ["--at-most-wrong", "0.9", "--shares", "3=0.98", "--json"]
    others = json.loads(CliRunner().invoke(app, ["predict", *run, *other]).stdout)
    threes = [sum(one["label"] == "3" for one in each) for each in (said, others)]
    assert threes[1] > threes[0]
    auto = CliRunner().invoke(app, ["predict", *run, "--shares", "auto", "--json"])
    assert auto.exit_code == 0
    plain = CliRunner().invoke(app, ["predict", *run])
    assert "no answer" in plain.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--at-most-wrong", "0.001"], "takes 999 images left out of training"),
        (["--at-most-wrong", "0"], "between 0 and 1"),
        (["--shares", "33=0.5"], "no class '33'"),
        (["--shares", "3"], "CLASS=SHARE"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    fitted: RunResult, noisy: Path, options: list[str], said: str
) -> None:
    image = str(_judged(noisy)[0][0])
    found = CliRunner().invoke(app, ["predict", str(fitted.folder), image, *options])
    assert found.exit_code == 2
    assert said in " ".join(found.output.split())


@pytest.mark.slow
def test_a_bound_that_too_few_images_can_show_is_told_not_kept(
    noisy: Path, tiny_network: dict[str, Any], tmp_path: Path
) -> None:
    """And a validation part that nothing learned from sets the thresholds."""
    (tmp_path / "images").mkdir()
    for part, source in (("train", "train"), ("val", "test")):
        (tmp_path / "images" / part).symlink_to(noisy / source)
    found = frostline.fit(
        tmp_path / "images", tmp_path / "run", effort="fast", at_most_wrong=0.001, **tiny_network
    )
    sets, abstention = found.metrics["sets"], found.metrics["abstention"]
    assert (sets["scoring"], sets["n_images"]) == ("split", 150)
    assert sets["coverage"] is not None
    assert abstention["too_few"] == {"needed": 999, "found": 150}
    assert found.model.card.at_most_wrong is None
    (image,) = _told(found, _judged(noisy)[0][:1])
    assert image.abstain is None
    assert "cannot be promised" in str(operating_rows(found.record.metrics)[1][1])


def test_advice_says_how_many_images_would_be_answered(
    noisy: Path, tiny_network: dict[str, Any]
) -> None:
    options = {**tiny_network, "effort": "fast"}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    source = str(noisy)
    found = CliRunner().invoke(app, ["advise", source, *words, "--at-most-wrong", "0.1"])
    assert found.exit_code == 0, found.output
    assert "At most 10% wrong:" in found.stdout
    assert "of images answered" in " ".join(found.stdout.split())
    never = CliRunner().invoke(app, ["advise", source, *words, "--at-most-wrong", "0.0001"])
    assert "cannot be promised" in never.stdout
