"""Letters rendered from fonts: target sets of any size at a chosen distance from the source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

UInt8Array = npt.NDArray[np.uint8]

SIZE = 32

LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghijlmnqrtuy"
GREEK = "βγδεζηθλμξπφψω"[:12]
CYRILLIC = "БДЖИЛПУФЦЧШЯ"

#: folders of Debian's font packages that hold Latin, Greek and Cyrillic
_FAMILIES = (
    "dejavu",
    "freefont",
    "liberation",
    "open-sans",
    "roboto",
    "linux-libertine",
    "gentium",
    "tuffy",
    "crosextra",
    "hack",
    "firacode",
    "charis",
    "croscore",
)
#: twelve looks that a person would tell apart, for the task that is about style
_STYLES = (
    "DejaVuSansMono.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSans-ExtraLight.ttf",
    "FreeSerifItalic.ttf",
    "LiberationSansNarrow-Bold.ttf",
    "Lato-Hairline.ttf",
    "Lobster.otf",
    "DancingScript-Regular.otf",
    "Comfortaa-Bold.ttf",
    "MonofurItalic.ttf",
    "YanoneKaffeesatz-Thin.otf",
    "Isabella.ttf",
)


def find_fonts(folder: Path) -> dict[str, Path]:
    """Return font files below ``folder`` by name, in a fixed order."""
    files = [p for p in folder.rglob("*") if p.suffix in {".ttf", ".otf"}]
    return {p.name: p for p in sorted(files, key=lambda p: p.name)}


def covering(fonts: dict[str, Path]) -> list[Path]:
    """Return the fonts that draw every letter used here, split evenly later by their order."""
    wanted = LATIN + GREEK + CYRILLIC
    found = []
    for path in fonts.values():
        if not any(family in path.parts for family in _FAMILIES):
            continue
        missing = _mask(path, 24, "\uffff")
        if all(_mask(path, 24, letter) not in (missing, b"") for letter in wanted):
            found.append(path)
    order = np.random.default_rng(0).permutation(len(found))
    return [found[int(i)] for i in order]


def styles(fonts: dict[str, Path]) -> list[Path]:
    """Return the fonts of the style task, or those of its list that there are."""
    lower = {name.lower(): path for name, path in fonts.items()}
    return [lower[name.lower()] for name in _STYLES if name.lower() in lower]


@dataclass(frozen=True)
class Look:
    """How a letter is put on paper: what a camera, not a writer, decides."""

    inverted: bool = False
    noise: float = 8.0
    contrast: tuple[float, float] = (0.55, 1.0)
    stripes: float = 0.0
    blur: tuple[float, float] = (0.0, 0.6)


ORDINARY = Look()


def draw(letter: str, font: Path, rng: np.random.Generator, look: Look = ORDINARY) -> UInt8Array:
    """Return one letter as (32, 32, 3) pixels: bright on dark, unless the look says otherwise."""
    size = int(rng.integers(17, 25))
    face = _face(font, size)
    canvas = Image.new("L", (SIZE * 2, SIZE * 2), 0)
    left, top, right, bottom = face.getbbox(letter)
    middle = (SIZE - (left + right) / 2, SIZE - (top + bottom) / 2)
    ImageDraw.Draw(canvas).text(middle, letter, fill=255, font=face)
    canvas = canvas.rotate(float(rng.uniform(-12, 12)), resample=Image.Resampling.BILINEAR)
    dx, dy = rng.integers(-3, 4, size=2)
    half = SIZE // 2
    canvas = canvas.crop((half + dx, half + dy, half + dx + SIZE, half + dy + SIZE))
    canvas = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(*look.blur))))
    ink = np.asarray(canvas, dtype=np.float64) / 255.0
    strength = rng.uniform(*look.contrast)
    ground = rng.uniform(0.0, 0.25)
    grey = ground + strength * (1.0 - ground) * ink
    if look.stripes:
        angle, wave = rng.uniform(0, np.pi), rng.uniform(4, 9)
        y, x = np.mgrid[0:SIZE, 0:SIZE]
        phase = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / wave
        grey = grey + look.stripes * np.sin(phase + rng.uniform(0, 2 * np.pi))
    if look.inverted:
        grey = 1.0 - grey
    tint = rng.uniform(0.85, 1.0, size=3)
    noisy = 255 * grey[..., None] * tint + rng.normal(0, look.noise, size=(SIZE, SIZE, 3))
    return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)


def texture(kind: int, rng: np.random.Generator) -> UInt8Array:
    """Return one of twelve textures: six slants of a grating, twice as coarse in the second six."""
    slant = (kind % 6) * np.pi / 6 + rng.normal(0, 0.09)
    wave = (3.2 if kind < 6 else 5.6) * float(np.exp(rng.normal(0, 0.08)))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    along = x * np.cos(slant) + y * np.sin(slant)
    bend = rng.normal(0, 0.6) * np.sin(2 * np.pi * (y - x) / SIZE + rng.uniform(0, 6))
    wavy = np.sin((along + bend) * 2 * np.pi / wave + rng.uniform(0, 2 * np.pi))
    blobs = _smooth(rng.normal(size=(SIZE, SIZE)))
    grey = 0.45 + rng.uniform(0.08, 0.2) * wavy + 0.16 * blobs
    colour = rng.uniform(0.7, 1.0, size=3)
    noisy = 255 * grey[..., None] * colour + rng.normal(0, 14, size=(SIZE, SIZE, 3))
    return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)


def generator(*key: object) -> np.random.Generator:
    """Return random numbers that depend on ``key`` alone."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def render(
    name: str, draw_one: Callable[[int, np.random.Generator], UInt8Array], labels: Sequence[int]
) -> list[UInt8Array]:
    """Return one picture for each label, keyed by the name and the position."""
    return [draw_one(label, generator(name, i)) for i, label in enumerate(labels)]


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    for axis in (0, 1):
        for step in (1, 2):
            ahead, behind = np.roll(values, step, axis), np.roll(values, -step, axis)
            values = (values + ahead + behind) / 3
    spread = float(values.std())
    return values / spread


@cache
def _face(font: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font), size)


def _mask(font: Path, size: int, letter: str) -> bytes:
    return bytes(_face(font, size).getmask(letter))
