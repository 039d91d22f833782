"""Real pictures for the attacks, and the changes that turn one into a copy that hides."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import elpv_dataset
import numpy as np
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

#: where Debian's packages put their pictures; sets that are not there are left out
STAMPS = Path(os.environ.get("FROSTLINE_STAMPS", "/usr/share/tuxpaint/stamps"))
CLIP_ART = Path(os.environ.get("FROSTLINE_CLIP_ART", "/usr/share/openclipart/png"))
_PHOTOS = ("animals/mammals", "animals/birds", "animals/insects", "food/fruit", "plants/flowers")
_DRAWINGS = ("animals", "buildings", "computer", "food", "people", "plants", "transportation")
_PER_CLASS = 160
_LARGEST_FILE = 300_000

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class PictureSet:
    """Pictures, grey ones as such to save memory, with the label of each."""

    name: str
    images: list[Image.Image]
    labels: list[str]

    def colour(self, i: int) -> Image.Image:
        """A picture in RGB."""
        return self.images[i].convert("RGB")


def sets() -> list[PictureSet]:
    """Return the sets that this machine has: digits and solar cells always."""
    found = [digits(), cells()]
    if CLIP_ART.is_dir():
        found.append(_folders("drawings", CLIP_ART, _DRAWINGS))
    if STAMPS.is_dir():
        found.append(_folders("photos", STAMPS, _PHOTOS))
    return found


def digits() -> PictureSet:
    """Scikit-learn's 1,797 handwritten digits, 64 pixels wide."""
    data = load_digits()
    images = [
        Image.fromarray((grey * 15.9).astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
        for grey in data.images
    ]
    return PictureSet("digits", images, [f"digit {label}" for label in data.target])


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
        small = [file for file in files if file.stat().st_size <= _LARGEST_FILE][:_PER_CLASS]
        for file in small:
            with Image.open(file) as opened:
                picture = opened.convert("RGBA")
            if max(picture.size) > 4 * min(picture.size):
                continue
            white = Image.new("RGBA", picture.size, "white")
            images.append(Image.alpha_composite(white, picture).convert("RGB"))
            labels.append(label)
    return PictureSet(name, images, labels)


def recompressed(quality: int) -> Change:
    """Written again as JPEG."""

    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        return Image.open(stream).convert("RGB")

    return change


def resized(share: float) -> Change:
    """Another number of pixels."""

    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        return image.resize(size, Image.Resampling.LANCZOS)

    return change


def brightened(factor: float) -> Change:
    """Brighter or darker; what leaves the range is cut off."""
    return lambda image, _: ImageEnhance.Brightness(image).enhance(factor)


def cropped(share: float) -> Change:
    """A window of so much of width and height, anywhere."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = round(image.width * share), round(image.height * share)
        left = int(rng.integers(image.width - width + 1))
        top = int(rng.integers(image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    return change


def rotated(degrees: float) -> Change:
    """Turned either way; corners are filled as augmentations do, with the nearest border."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        angle = degrees if rng.random() < 0.5 else -degrees
        reach = max(image.size) // 2
        wide = np.pad(np.asarray(image), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        turned = Image.fromarray(wide).rotate(angle, Image.Resampling.BICUBIC)
        return turned.crop((reach, reach, reach + image.width, reach + image.height))

    return change


def mirrored(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Left and right exchanged."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def upside_down(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Top and bottom exchanged."""
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def quarter_turn(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Turned by 90 degrees."""
    return image.transpose(Image.Transpose.ROTATE_90)


def both(first: Change, second: Change) -> Change:
    """One change after the other."""
    return lambda image, rng: second(first(image, rng), rng)


#: kind and strength of every change that is tried
CHANGES: dict[tuple[str, str], Change] = {
    ("the same file", ""): lambda image, _: image,
    **{("recompressed", f"JPEG {q}"): recompressed(q) for q in (90, 75, 50, 30, 10)},
    **{("resized", f"to {s:.0%}"): resized(s) for s in (0.75, 0.5, 0.25)},
    **{("brightness", f"x {f}"): brightened(f) for f in (1.05, 1.1, 1.25, 1.5, 0.75, 0.5)},
    **{("mirrored", how): mirrored_how for how, mirrored_how in {
        "left to right": mirrored,
        "and JPEG 75": both(mirrored, recompressed(75)),
        "and x 1.25": both(mirrored, brightened(1.25)),
        "upside down": upside_down,
    }.items()},
    ("turned", "by 90 degrees"): quarter_turn,
    **{("turned", f"by {d} degrees"): rotated(d) for d in (1, 2, 5, 10)},
    **{("cropped", f"to {s:.0%}"): cropped(s) for s in (0.98, 0.95, 0.9, 0.8)},
}  # fmt: skip
