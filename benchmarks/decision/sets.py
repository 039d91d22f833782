"""The target sets of the study: pictures in files, a label for each, and the network they meet."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.accuracy_and_time import photo_files
from benchmarks.decision.glyphs import (
    CYRILLIC,
    GREEK,
    ORDINARY,
    Look,
    covering,
    draw,
    find_fonts,
    generator,
    styles,
    texture,
)
from frostline.cli.demo import write_table

INVERTED = Look(inverted=True, noise=40.0)
STRIPED = Look(contrast=(0.3, 0.55), stripes=0.16)

_CLIP_ART = (
    "animals",
    "buildings",
    "computer",
    "food",
    "geography",
    "office",
    "people",
    "plants",
    "recreation",
    "transportation",
)
_PER_CLASS_CLIP_ART = 160
_LARGEST_FILE = 300_000


@dataclass(frozen=True)
class Places:
    """Where the pictures come from, as the user unpacked them; ``icons`` for the large study."""

    fonts: Path
    stamps: Path
    clip_art: Path
    work: Path
    icons: Path = Path("/usr/share/icons")


@dataclass(frozen=True)
class TargetSet:
    """One target set.

    ``kind`` is its distance from the network's source by design; ``test`` the number of images
    that judge; ``largest`` that of the training images of size "all". Small sizes are drawn with
    equally many images of every class, or in ``natural`` shares. Sets of one ``family`` are alike:
    what is fitted for one of them is fitted without any of them.
    """

    name: str
    network: Literal["glyphs", "lite0"]
    kind: Literal["similar", "input", "feature", "other"]
    test: int
    largest: int
    make: Callable[[Places, Path], list[tuple[Path, str]]]
    natural: bool = False
    family: str = ""


def table_of(target: TargetSet, places: Places) -> Path:
    """Write the pictures and their table once; return the table."""
    folder = places.work / "sets" / target.name
    table = folder / "images.csv"
    if not table.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rows = target.make(places, folder)
        with (folder / "new.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label"])
            writer.writerows([[str(path), label] for path, label in rows])
        (folder / "new.csv").rename(table)
    return table


def letters(
    name: str, letters: str, look: Look = ORDINARY, n: int = 4200
) -> Callable[[Places, Path], list[tuple[Path, str]]]:
    """Return what draws letters in fonts that the small network did not see."""

    def make(places: Places, folder: Path) -> list[tuple[Path, str]]:
        faces = covering(find_fonts(places.fonts))
        faces = faces[len(faces) // 2 :]
        rows = []
        for i in range(n):
            rng = generator(name, i)
            kind = i % len(letters)
            pixels = draw(letters[kind], faces[int(rng.integers(len(faces)))], rng, look)
            rows.append((write_picture(folder, i, pixels), f"letter {kind:02d}"))
        return rows

    return make


def fonts_apart(
    places: Places, folder: Path, look: Look = ORDINARY, name: str = "styles"
) -> list[tuple[Path, str]]:
    """Draw letters of Latin that differ in their font, which is the class."""
    faces = styles(find_fonts(places.fonts))
    rows = []
    for i in range(4000):
        rng = generator(name, i)
        letter = "ABDEFGHKMNPQRSTabdefghknqrt"[int(rng.integers(27))]
        kind = i % len(faces)
        path = write_picture(folder, i, draw(letter, faces[kind], rng, look))
        rows.append((path, faces[kind].stem))
    return rows


def textures(_: Places, folder: Path) -> list[tuple[Path, str]]:
    """Draw twelve gratings."""
    pictures = [texture(i % 12, generator("textures", i)) for i in range(4200)]
    return [(write_picture(folder, i, p), f"texture {i % 12:02d}") for i, p in enumerate(pictures)]


def digits(_: Places, folder: Path) -> list[tuple[Path, str]]:
    """Write scikit-learn's digits."""
    data = load_digits()
    rows = []
    for i, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        grey = np.clip(image * 16, 0, 255).astype(np.uint8)
        path = write_picture(folder, i, np.repeat(grey[..., None], 3, axis=2))
        rows.append((path, f"digit {label}"))
    return rows


def solar_cells(_: Places, folder: Path) -> list[tuple[Path, str]]:
    """List the solar cells by level of damage."""
    with write_table(folder).open(encoding="utf-8") as file:
        return [(Path(row["path"]), row["label"]) for row in csv.DictReader(file)]


def clip_art(places: Places, _: Path, most: int = _PER_CLASS_CLIP_ART) -> list[tuple[Path, str]]:
    """List drawings of ten classes, at most so many of each."""
    rows = []
    for label in _CLIP_ART:
        files = sorted((places.clip_art / label).rglob("*.png"))
        small = [f for f in files if f.stat().st_size < _LARGEST_FILE]
        order = generator("clip art", label).permutation(len(small))
        rows += [(small[int(i)], label) for i in order[:most]]
    return rows


def photos(places: Places, _: Path) -> list[tuple[Path, str]]:
    """List the photos of eight folders."""
    return photo_files(places.stamps)


def write_picture(
    folder: Path, number: int, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> Path:
    """Write one picture of a set; return its path."""
    path = folder / f"{number:05d}.png"
    Image.fromarray(pixels).save(path)
    return path


SETS: dict[str, TargetSet] = {
    t.name: t
    for t in (
        TargetSet(
            "greek", "glyphs", "similar", 1500, 2400, letters("greek", GREEK), family="letters"
        ),
        TargetSet(
            "cyrillic",
            "glyphs",
            "similar",
            1500,
            2400,
            letters("cyrillic", CYRILLIC),
            family="letters",
        ),
        TargetSet(
            "greek-inverted",
            "glyphs",
            "input",
            1500,
            2400,
            letters("inverted", GREEK, INVERTED),
            family="letters",
        ),
        TargetSet(
            "cyrillic-striped",
            "glyphs",
            "input",
            1500,
            2400,
            letters("striped", CYRILLIC, STRIPED),
            family="letters",
        ),
        TargetSet("styles", "glyphs", "feature", 1500, 2400, fonts_apart, family="styles"),
        TargetSet("textures", "glyphs", "feature", 1500, 2400, textures, family="textures"),
        TargetSet("digits-small", "glyphs", "other", 797, 1000, digits, family="digits"),
        TargetSet("digits", "lite0", "input", 500, 400, digits, family="digits"),
        TargetSet(
            "solar-cells",
            "lite0",
            "feature",
            700,
            500,
            solar_cells,
            natural=True,
            family="solar cells",
        ),
        TargetSet("clip-art", "lite0", "other", 500, 500, clip_art, family="clip art"),
        TargetSet("photos", "lite0", "similar", 86, 120, photos, family="photos"),
    )
}


def smallest_class(labels: list[str]) -> int:
    """Return the size of the smallest class."""
    return min(Counter(labels).values())
