"""Make the 64 reference pictures that networks without stored statistics are measured with.

Run::

    python -m tools.reference_pictures --scikit-image DATA

DATA is the folder ``skimage/data`` of a wheel of scikit-image 0.26. 40 pictures are crops of 14
pictures in there, which are in the public domain or under CC0, and of scikit-learn's two photos.
24 are drawn here: gradients, textures, shapes, lines and letters, from fixed seeds. Kinds follow
each other in turn, so that the first 16 or 32 are as diverse as all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

import frostline.evidence

#: side of the pictures in pixels
SIDE = 256
#: of the compressed pictures; all of them stay under 400 kB
QUALITY = 60

#: crops of every photo; the first ones come first
CROPS = {
    "china.jpg": 6,
    "astronaut.png": 4,
    "coffee.png": 4,
    "flower.jpg": 4,
    "chelsea.png": 4,
    "rocket.jpg": 4,
    "camera.png": 4,
    "hubble_deep_field.jpg": 2,
    "grass.png": 1,
    "brick.png": 1,
    "retina.jpg": 1,
    "gravel.png": 1,
    "clock_motion.png": 1,
    "cell.png": 1,
    "microaneurysms.png": 1,
    "horse.png": 1,
}
_OF_SCIKIT_LEARN = ("china.jpg", "flower.jpg")
#: share of a photo's shorter side that a crop has
_SHARE = (0.35, 1.0)

Drawing = Callable[[np.random.Generator], Image.Image]


def photo_crops(folder: Path) -> list[Image.Image]:
    """Return square crops of photos, one of each photo before the second of any."""
    rng = np.random.default_rng(0)
    by_photo: list[list[Image.Image]] = []
    for name, count in CROPS.items():
        if name in _OF_SCIKIT_LEARN:
            photo = Image.fromarray(load_sample_image(name))
        else:
            with Image.open(folder / name) as image:
                photo = image.convert("RGB")
        by_photo.append([_crop(photo, rng) for _ in range(count)])
    return _in_turn(by_photo)


def _crop(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    side = int(min(photo.size) * rng.uniform(*_SHARE))
    left = int(rng.integers(0, photo.width - side + 1))
    top = int(rng.integers(0, photo.height - side + 1))
    box = (left, top, left + side, top + side)
    return photo.crop(box).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def gradient(rng: np.random.Generator) -> Image.Image:
    """Draw a smooth change between four colours."""
    corners = Image.fromarray(rng.integers(0, 256, (2, 2, 3), dtype=np.uint8))
    return corners.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def texture(rng: np.random.Generator) -> Image.Image:
    """Draw noise whose strength falls with frequency, as in photos of surfaces."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    fall = 1.0 / np.maximum(frequency, 1.0 / SIDE) ** rng.uniform(0.6, 1.6)
    planes = [_noise(rng, fall) for _ in range(3)]
    shared = _noise(rng, fall)
    mixed = np.stack([0.8 * shared + 0.4 * plane for plane in planes], axis=2)
    return _as_image(rng.uniform(70, 180, 3) + rng.uniform(25, 55) * mixed)


def stripes(rng: np.random.Generator) -> Image.Image:
    """Draw two waves across each other, in two colours."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = np.zeros((SIDE, SIDE))
    for _ in range(2):
        angle, count = rng.uniform(0, np.pi), rng.uniform(3, 25)
        waves += np.sin(2 * np.pi * count * (np.cos(angle) * x + np.sin(angle) * y))
    share = (1 / (1 + np.exp(-rng.uniform(1, 8) * waves)))[..., None]
    one, other = rng.uniform(0, 255, (2, 3))
    return _as_image(share * one + (1 - share) * other)


def shapes(rng: np.random.Generator) -> Image.Image:
    """Draw filled shapes in front of each other."""
    image = gradient(rng)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 12))):
        x, y = (float(v) for v in rng.uniform(0, SIDE, 2))
        radius = float(rng.uniform(12, 80))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        draw.regular_polygon(
            (x, y, radius), int(rng.choice([3, 4, 5, 6, 40])), rotation=float(rng.uniform(0, 360)),
            fill=colour,
        )  # fmt: skip
    return image


def lines(rng: np.random.Generator) -> Image.Image:
    """Draw curves of a pen on plain ground."""
    ground = int(rng.integers(200, 256)) if rng.random() < 0.7 else int(rng.integers(0, 60))
    image = Image.new("RGB", (SIDE, SIDE), (ground, ground, ground))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 9))):
        turns = np.cumsum(rng.normal(0, 0.25, 60)) + rng.uniform(0, 2 * np.pi)
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(2, 6)
        places = rng.uniform(40, SIDE - 40, 2) + np.cumsum(steps, axis=0)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        draw.line([(float(a), float(b)) for a, b in places], colour, int(rng.integers(1, 8)))
    return image


def letters(rng: np.random.Generator) -> Image.Image:
    """Draw letters of several sizes and colours on a smooth ground."""
    image = gradient(rng) if rng.random() < 0.5 else Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 14))):
        size = float(rng.uniform(14, 150))
        text = "".join(rng.choice(list("ABCDEFGHKMNRSTWXYZabdefghkmnqrstwyz0123456789"), 3))
        place = (float(rng.uniform(-20, 200)), float(rng.uniform(-20, 220)))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        text = text[: 1 if size > 80 else 3]
        draw.text(place, text, colour, font=ImageFont.load_default(size))
    return image


#: how many of each kind are drawn
DRAWN: dict[Drawing, int] = {shapes: 6, texture: 4, letters: 5, lines: 4, stripes: 3, gradient: 2}


def drawings() -> list[Image.Image]:
    """Return the drawn pictures, one of each kind before the second of any."""
    return _in_turn(
        [
            [kind(np.random.default_rng([number, which])) for which in range(count)]
            for number, (kind, count) in enumerate(DRAWN.items())
        ]
    )


def all_pictures(folder: Path) -> list[Image.Image]:
    """Return the 64 pictures in their order: 5 photos, then 3 drawings, and so on."""
    photos, drawn = photo_crops(folder), drawings()
    found: list[Image.Image] = []
    for turn in range(8):
        found += photos[5 * turn : 5 * turn + 5] + drawn[3 * turn : 3 * turn + 3]
    return found


def _in_turn(groups: list[list[Image.Image]]) -> list[Image.Image]:
    most = max(map(len, groups))
    return [group[turn] for turn in range(most) for group in groups if turn < len(group)]


def _noise(rng: np.random.Generator, fall: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    white = np.fft.rfft2(rng.normal(size=(SIDE, SIDE)))
    values = np.fft.irfft2(white * fall, s=(SIDE, SIDE))
    return np.asarray((values - values.mean()) / values.std())


def _as_image(values: npt.NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def main() -> None:
    """Write the pictures into the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scikit-image", type=Path, required=True, help="folder 'skimage/data'")
    given = parser.parse_args()
    folder = Path(frostline.evidence.__path__[0]) / "pictures"
    held = 0
    for number, picture in enumerate(all_pictures(given.scikit_image)):
        path = folder / f"{number:02d}.webp"
        picture.save(path, quality=QUALITY, method=6)
        held += path.stat().st_size
    print(f"{held / 1000:.0f} kB in {folder}")


if __name__ == "__main__":
    main()
