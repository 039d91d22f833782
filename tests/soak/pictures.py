"""Sets of real pictures: from Python packages, and Debian's where they are installed."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import elpv_dataset
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

_STAMPS = Path(os.environ.get("FROSTLINE_STAMPS", "/usr/share/tuxpaint/stamps"))
_CLIP_ART = Path(os.environ.get("FROSTLINE_CLIP_ART", "/usr/share/openclipart/png"))
_PHOTOS = ("animals/mammals", "animals/birds", "animals/insects", "food/fruit", "plants/flowers")
_DRAWINGS = ("animals", "buildings", "computer", "food", "people", "plants", "transportation")
_PER_CLASS, _LARGEST_FILE = 160, 300_000


@dataclass(frozen=True)
class PictureSet:
    """Pictures, grey ones as such to save memory, with the label of each."""

    name: str
    images: list[Image.Image]
    labels: list[str]

    def colour(self, i: int) -> Image.Image:
        """A picture in RGB."""
        return self.images[i].convert("RGB")

    def write(self, folder: Path) -> Path:
        """Write all as PNG files with a table; returns the table."""
        return write_table(folder, self.images, self.labels)


def write_table(
    folder: Path, images: list[Image.Image], labels: list[str], parts: list[str] | None = None
) -> Path:
    """Write pictures and a table of them."""
    folder.mkdir(parents=True)
    table = folder / "images.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", *(["split"] if parts else [])])
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            image.save(folder / f"{i:05d}.png", compress_level=1)
            writer.writerow([f"{i:05d}.png", label, *([parts[i]] if parts else [])])
    return table


@cache
def digits() -> PictureSet:
    """Scikit-learn's 1,797 handwritten digits, 64 pixels wide."""
    data = load_digits()
    images = [
        Image.fromarray((grey * 15.9).astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
        for grey in data.images
    ]
    return PictureSet("digits", images, [f"digit {label}" for label in data.target])


@cache
def cells() -> PictureSet:
    """The 2,624 solar cells of elpv-dataset, sound and defective."""
    home = Path(str(elpv_dataset.__file__)).parent / "data"
    images, labels = [], []
    for line in (home / "labels.csv").read_text(encoding="utf-8").splitlines():
        path, probability, _ = line.split()
        with Image.open(home / path) as picture:
            images.append(picture.convert("L"))
        labels.append("defective" if float(probability) > 0.5 else "sound")
    return PictureSet("solar cells", images, labels)


def _folders(name: str, root: Path, classes: tuple[str, ...]) -> PictureSet:
    images, labels = [], []
    for label in classes:
        files = sorted((root / label).rglob("*.png"))
        for file in [one for one in files if one.stat().st_size <= _LARGEST_FILE][:_PER_CLASS]:
            with Image.open(file) as opened:
                picture = opened.convert("RGBA")
            if max(picture.size) <= 4 * min(picture.size):
                white = Image.new("RGBA", picture.size, "white")
                images.append(Image.alpha_composite(white, picture).convert("RGB"))
                labels.append(label)
    return PictureSet(name, images, labels)


#: by name, those that this machine has
SETS: dict[str, Callable[[], PictureSet]] = {"digits": digits, "solar cells": cells}
if _CLIP_ART.is_dir():
    SETS["drawings"] = cache(lambda: _folders("drawings", _CLIP_ART, _DRAWINGS))
if _STAMPS.is_dir():
    SETS["photos"] = cache(lambda: _folders("photos", _STAMPS, _PHOTOS))
