"""Sets without sense through whole fits: numbers and words stay true."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from rich.console import Console

import frostline
from frostline.cli.show import result_panel
from frostline.core.errors import InputError

pytestmark = pytest.mark.slow


def table(
    folder: Path, images: Sequence[Path], labels: Sequence[str], parts: Sequence[str] | None = None
) -> Path:
    """Write a table of images with other labels."""
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", *(["split"] if parts else [])])
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.writerow([image, label, *([parts[i]] if parts else [])])
    return path


def test_random_labels_and_mirrored_copies_are_told(digit_folder: Path, tmp_path: Path) -> None:
    images = sorted(digit_folder.rglob("*.png"))[::2]
    heads = np.random.default_rng(2).permutation(len(images)) < 15
    labels = ["heads" if h else "tails" for h in heads]
    copies = []
    for number, image in enumerate(images[:2]):
        copies.append(tmp_path / f"copy {number}.png")
        with Image.open(image) as picture:
            ImageOps.mirror(picture).save(copies[-1])
    parts = ["train" if i % 2 == 0 or i < 2 else "test" for i in range(len(images))]
    source = table(tmp_path, [*images, *copies], [*labels, *labels[:2]], [*parts, "test", "test"])
    result = frostline.fit(source, tmp_path / "run", effort="fast")

    leaked = {Path(path).name for leak in result.audit["leaks"] for path in leak["paths"]}
    assert {copy.name for copy in copies} <= leaked
    test = result.metrics["test"]
    assert test["without_leaks"]["n"] == parts.count("test")
    judged = [x for x, part in zip(labels, parts, strict=True) if part == "test"] + labels[:2]
    share = judged.count("heads") / len(judged)
    assert test["baseline"] == {"always": "heads", "accuracy": pytest.approx(share)}
    words = result.metrics["caveats"][0]
    assert "Always naming 'heads'" in words and f"{share:.1%}" in words
    assert "Always naming" in (result.folder / "report.html").read_text()
    console = Console(width=200, record=True)
    console.print(result_panel(result))
    shown = console.export_text()
    assert f"{share:.1%} by always naming 'heads'" in shown
    assert "Careful" in shown


def test_a_test_part_of_copies_alone_is_said_to_be_worthless(
    digit_folder: Path, tmp_path: Path
) -> None:
    images = sorted(digit_folder.rglob("*.png"))[::3]
    copies = [tmp_path / f"copy {number}.png" for number in range(len(images))]
    for image, copy in zip(images, copies, strict=True):
        shutil.copy(image, copy)
    labels = [image.parent.name for image in images]
    source = table(
        tmp_path,
        [*images, *copies],
        labels * 2,
        ["train"] * len(images) + ["test"] * len(images),
    )
    result = frostline.fit(source, tmp_path / "run", effort="fast", input_size="96")
    assert "without_leaks" not in result.metrics["test"]
    assert "nothing about new images" in result.metrics["caveats"][0]


def test_one_picture_again_and_again_is_refused_by_name(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    paths = []
    for number in range(12):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    source = table(tmp_path, paths, ["a", "b"] * 6)
    with pytest.raises(InputError, match="12 images are copies of one picture"):
        frostline.fit(source, tmp_path / "run", effort="fast")
