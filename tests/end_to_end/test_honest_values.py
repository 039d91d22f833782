"""What limits scores of numbers is said, and numbers that a mirror changes are not mirrored."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_digits

import frostline
from frostline.cli.show import result_panel
from frostline.stats.caveats import AllLeaked, NoBetterThanMean, NothingLearnedOf, value_caveats
from frostline.wording.caveats import caveat_sentence

pytestmark = pytest.mark.slow


def test_columns_that_nothing_explains_and_copies_are_told(tmp_path: Path) -> None:
    data, rng, n = load_digits(), np.random.default_rng(0), 120
    with (tmp_path / "digits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "ink", "chance"])
        for row in range(n):
            grey = Image.fromarray((data.images[row] * 15.9).astype(np.uint8))
            grey.resize((64, 64)).save(tmp_path / f"{row}.png")
            given = [data.images[row].sum(), rng.normal()]
            writer.writerow([f"{row}.png", "test" if row % 3 == 2 else "train", *given])
            if row in (0, 3):
                shutil.copy(tmp_path / f"{row}.png", tmp_path / f"copy {row}.png")
                writer.writerow([f"copy {row}.png", "test", *given])
    run = frostline.fit(
        tmp_path / "digits.csv", tmp_path / "run", target="ink,chance", effort="fast",
        input_size=64, threads=1,
    )  # fmt: skip
    test = run.metrics["test"]
    without = test["without_leaks"]
    assert (test["n"], without["n"]) == (42, 40)
    assert without["r2_interval"][0] < without["r2"] < without["r2_interval"][1]
    assert "accuracy" not in without
    (words,) = run.metrics["caveats"]
    assert "'chance' (R2" in words and "ink" not in words
    console = Console(width=200, record=True)
    console.print(result_panel(run))
    shown = console.export_text()
    assert words[:30] in shown
    assert "on the 40 test images" in shown
    assert "Without the 2 images that also occur" in (run.folder / "report.html").read_text()


def test_angles_are_not_mirrored_and_sizes_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("angle", "size"):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "bars.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", name])
            for row in range(160):
                angle, size = rng.uniform(-40, 40), rng.uniform(10, 40)
                canvas = np.zeros((64, 64), np.uint8)
                half = int(size / 2) + 4
                canvas[32 - half : 32 + half, 28:36] = 255
                picture = Image.fromarray(canvas).rotate(angle, Image.Resampling.BILINEAR)
                noisy = np.asarray(picture, float) + rng.normal(0, 10, (64, 64))
                grey = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
                grey.save(tmp_path / name / f"{row}.png")
                writer.writerow([f"{row}.png", angle if name == "angle" else size])
    flips = {}
    for name in ("angle", "size"):
        plan = frostline.advise(
            tmp_path / name / "bars.csv", target=name, strategy="finetune", effort="fast",
            input_size=64, threads=1,
        ).plan  # fmt: skip
        flips[name] = plan.action.model_dump()["recipe"]["flip"]
    assert flips == {"angle": False, "size": True}


def test_a_score_that_may_be_that_of_the_mean_is_named() -> None:
    found = value_caveats("numbers", 0.05, 0.04, [("a", -0.1, 0.2)])
    assert [type(one) for one in found] == [NoBetterThanMean]
    assert "5.0% of the squared error" in caveat_sentence(found[0])
    assert value_caveats("numbers", 0.5, 0.04, [("a", 0.1, 0.2)]) == []
    labels = value_caveats("labels", -0.01, 0.0, leaked=1.0)
    assert [type(one) for one in labels] == [AllLeaked, NoBetterThanMean]
    assert "how frequent each label is" in caveat_sentence(labels[1])
    columns = value_caveats("numbers", 0.5, 0.1, [("a", 0.3, 0.6), ("b", -0.2, 0.1)])
    assert columns == [NothingLearnedOf((("b", -0.2, 0.1),))]
    assert "'b' (R2 -20.0% to 10.0%)" in caveat_sentence(columns[0])
