"""Folders of real pictures as target sets, as they are or as a worse camera would show them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.decision.glyphs import generator

Row = tuple[Path, str]
Spoil = Callable[[Image.Image, np.random.Generator], Image.Image]

#: larger files hold drawings of many thousand strokes that take seconds to read
_LARGEST_FILE = 300_000
#: corrupted pictures are written no larger than this: twice what the study looks at
_LARGEST_SIDE = 320


def blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Out of focus, by a fiftieth to a twenty-fifth of the shorter side."""
    return image.filter(ImageFilter.GaussianBlur(min(image.size) * rng.uniform(0.02, 0.04)))


def noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """In the dark: noise of 40 grey levels."""
    pixels = np.asarray(image, dtype=np.float64)
    noisy = pixels + rng.normal(0, 40, size=pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def grey(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Without colour."""
    return image.convert("L").convert("RGB")


def inverted(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """As a negative."""
    return ImageOps.invert(image)


def jpeg(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Saved at quality 8."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=8)
    return Image.open(io.BytesIO(data.getvalue())).convert("RGB")


def in_folders(root: Path, classes: Mapping[str, Sequence[str]], most: int) -> list[Row]:
    """List pictures below some folders of each class, at most so many, drawn once.

    Links are left out: icon themes have many names for one picture.
    """
    rows = []
    for label, folders in classes.items():
        files = sorted(
            {
                file
                for folder in folders
                for file in (root / folder).rglob("*.png")
                if not file.is_symlink() and file.stat().st_size < _LARGEST_FILE
            }
        )
        order = generator("pictures", label, len(files)).permutation(len(files))
        rows += [(files[int(i)], label) for i in order[:most]]
    return rows


def spoiled(rows: Sequence[Row], how: Spoil, folder: Path) -> list[Row]:
    """Write every picture as a worse camera would show it, on white where it is transparent."""
    found = []
    for i, (path, label) in enumerate(rows):
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
        image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
        ground = Image.new("RGBA", image.size, "white")
        plain = Image.alpha_composite(ground, image).convert("RGB")
        target = folder / f"{i:05d}.png"
        how(plain, generator(how.__name__, i)).save(target)
        found.append((target, label))
    return found
