"""Put marks on the pictures of a class: is it said, and is nothing said about clean sets?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.problem import Problem
from frostline.evidence.shortcuts import MOST_IMAGES, find_shortcuts
from frostline.wording.shortcuts import shortcut_sentence
from tests.soak._pictures import PictureSet

Mark = Callable[[Image.Image, int, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class _Store:
    catalog: Catalog
    thumbnails: npt.NDArray[np.uint8]


def stamped(side: float, opacity: float, *, anywhere: bool = False) -> Mark:
    """A text in a box, of so much of the shorter side, at one place or anywhere."""

    def mark(image: Image.Image, kind: int, rng: np.random.Generator) -> Image.Image:
        size = max(2, round(side * min(image.size)))
        box = Image.new("RGB", (size, size), "white")
        ImageDraw.Draw(box).text((0, 0), "ab"[kind % 2], fill="black", font_size=size)
        left, top = round(0.03 * image.width), round(0.03 * image.height)
        if kind % 2:
            left = image.width - size - left
        if anywhere:
            left = int(rng.integers(image.width - size + 1))
            top = int(rng.integers(image.height - size + 1))
        place = (left, top, left + size, top + size)
        found = image.copy()
        found.paste(Image.blend(image.crop(place), box, opacity), place)
        return found

    return mark


def framed(image: Image.Image, kind: int, _: np.random.Generator) -> Image.Image:
    """A border of one colour for each class, 2 % wide."""
    found = image.copy()
    width = max(1, round(0.02 * min(image.size)))
    colour = ("firebrick", "navy")[kind % 2]
    ImageDraw.Draw(found).rectangle(
        (0, 0, image.width - 1, image.height - 1), outline=colour, width=width
    )
    return found


#: how each is marked: the mark, the share of a class that bears it, whether all classes do
MARKS: dict[str, tuple[Mark, float, bool]] = {
    "12 % wide on one class": (stamped(0.12, 1.0), 1.0, False),
    "12 % wide, half transparent, on one class": (stamped(0.12, 0.5), 1.0, False),
    "12 % wide, three quarters transparent, on one class": (stamped(0.12, 0.25), 1.0, False),
    "6 % wide on one class": (stamped(0.06, 1.0), 1.0, False),
    "6 % wide, half transparent, on one class": (stamped(0.06, 0.5), 1.0, False),
    "12 % wide on every class, in another corner": (stamped(0.12, 1.0), 1.0, True),
    "a frame of another colour": (framed, 1.0, True),
    "12 % wide on nine tenths of one class": (stamped(0.12, 1.0), 0.9, False),
    "12 % wide on half of one class": (stamped(0.12, 1.0), 0.5, False),
    "12 % wide on one class, anywhere": (stamped(0.12, 1.0, anywhere=True), 1.0, False),
}


@lru_cache(maxsize=1)
def _chosen(name: str) -> tuple[list[int], npt.NDArray[np.uint8]]:
    """As many pictures of a set as are looked at, and their thumbnails."""
    of = _SETS[name]
    rows = np.random.default_rng(0).permutation(len(of.images))[:MOST_IMAGES].tolist()
    return rows, np.stack([thumbnail(of.colour(i)) for i in rows])


_SETS: dict[str, PictureSet] = {}


def warned(of: PictureSet, mark: str | None) -> dict[str, Any]:
    """Mark the pictures (or none) of two large classes, and return what is said."""
    _SETS[of.name] = of
    chosen, clean = _chosen(of.name)
    labels = [of.labels[i] for i in chosen]
    names = sorted(set(labels), key=lambda name: -labels.count(name))[:2]
    rng = np.random.default_rng(0)
    thumbnails = clean.copy()
    for k, label in enumerate(labels):
        if mark is not None and label in names:
            change, share, everywhere = MARKS[mark]
            if (everywhere or label == names[0]) and rng.random() < share:
                marked = change(of.colour(chosen[k]), names.index(label), rng)
                thumbnails[k] = thumbnail(marked)
    classes = tuple(sorted(set(labels)))
    rows = tuple(
        ImageRow(Path(f"/pictures/{i}"), f"{i}.png", classes.index(label), None, None)
        for i, label in enumerate(labels)
    )
    digests = tuple(f"{i:064x}" for i in range(len(rows)))
    store = _Store(Catalog("marked", classes, rows, digests), thumbnails)
    everything = np.arange(len(rows))
    shortcuts = find_shortcuts(Problem.of(store.catalog), store, everything)
    named = {label for one in shortcuts for label in one.labels}
    return {
        "classes": len(classes),
        "warnings": len(shortcuts),
        # of two classes, what tells one tells the other
        "marked_named": names[0] in named or (len(classes) == 2 and bool(named)),
        "others_named": len(named - set(names)),
        "said": [shortcut_sentence(one) for one in shortcuts],
    }


def table(sets: dict[str, Any]) -> list[str]:
    """Whether the marked class was named, by mark (rows) and set (columns)."""
    names = list(sets)
    lines = [f"| mark | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for mark in (None, *MARKS):
        cells = [sets[name].get(str(mark)) for name in names]
        said = []
        for cell in cells:
            if cell is None:
                said.append("–")
            elif mark is None:
                said.append(f"{cell['warnings']} false alarms")
            else:
                other = f", {cell['others_named']} others too" if cell["others_named"] else ""
                said.append(("named" if cell["marked_named"] else "**not found**") + other)
        lines.append(f"| {mark or 'none'} | {' | '.join(said)} |")
    return lines
