"""Marks on the pictures of a class: those that were named when it was recorded still are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.problem import Problem
from frostline.evidence.shortcuts import MOST_IMAGES, find_shortcuts
from tests.soak.pictures import SETS

pytestmark = pytest.mark.soak
Mark = Callable[[Image.Image, int], Image.Image]


def _stamped(side: float, opacity: float) -> Mark:
    """A text in a box, of so much of the shorter side, in the corner of its class."""

    def mark(image: Image.Image, kind: int) -> Image.Image:
        size = max(2, round(side * min(image.size)))
        box = Image.new("RGB", (size, size), "white")
        ImageDraw.Draw(box).text((0, 0), "ab"[kind % 2], fill="black", font_size=size)
        left, top = round(0.03 * image.width), round(0.03 * image.height)
        if kind % 2:
            left = image.width - size - left
        place = (left, top, left + size, top + size)
        found = image.copy()
        found.paste(Image.blend(image.crop(place), box, opacity), place)
        return found

    return mark


def _framed(image: Image.Image, kind: int) -> Image.Image:
    """A border of one colour for each class, 2 % wide."""
    found = image.copy()
    width, corner = max(1, round(0.02 * min(image.size))), (image.width - 1, image.height - 1)
    colour = ("firebrick", "navy")[kind % 2]
    ImageDraw.Draw(found).rectangle((0, 0, *corner), outline=colour, width=width)
    return found


#: by name: the mark, whether all classes bear it, and the sets in which it was named
_MARKS: dict[str, tuple[Mark, bool, tuple[str, ...]]] = {
    "12 % wide": (_stamped(0.12, 1.0), False, ("digits", "solar cells", "photos")),
    "12 % wide, half transparent": (_stamped(0.12, 0.5), False, ("digits", "solar cells")),
    "12 % wide, mostly transparent": (_stamped(0.12, 0.25), False, ("digits", "solar cells")),
    "6 % wide": (_stamped(0.06, 1.0), False, ("digits", "solar cells")),
    "6 % wide, half transparent": (_stamped(0.06, 0.5), False, ("digits", "solar cells")),
    "in another corner": (_stamped(0.12, 1.0), True, ("digits", "solar cells", "photos")),
    "a frame": (_framed, True, ("digits", "solar cells", "drawings", "photos")),
}


@cache
def _chosen(name: str) -> tuple[list[int], npt.NDArray[np.uint8]]:
    """As many pictures of a set as are looked at, and their thumbnails."""
    of = SETS[name]()
    rows = np.random.default_rng(0).permutation(len(of.images))[:MOST_IMAGES].tolist()
    return rows, np.stack([thumbnail(of.colour(i)) for i in rows])


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        *((name, mark) for mark, (_, _, named) in _MARKS.items() for name in named if name in SETS),
        *((name, None) for name in SETS),
    ],
)
def test_a_mark_on_a_class_is_named_and_nothing_else(name: str, mark: str | None) -> None:
    of, (chosen, clean) = SETS[name](), _chosen(name)
    labels = [of.labels[i] for i in chosen]
    marked = sorted(set(labels), key=lambda label: -labels.count(label))[:2]
    thumbnails = clean.copy()
    for k, label in enumerate(labels if mark is not None else []):
        change, everywhere, _ = _MARKS[str(mark)]
        if label == marked[0] or (everywhere and label in marked):
            picture = change(of.colour(chosen[k]), marked.index(label))
            thumbnails[k] = thumbnail(picture)
    classes = tuple(sorted(set(labels)))
    rows = tuple(
        ImageRow(Path(f"/pictures/{i}"), f"{i}.png", classes.index(label), None, None)
        for i, label in enumerate(labels)
    )
    digests = tuple(f"{i:064x}" for i in range(len(rows)))
    problem = Problem.of(Catalog("marked", classes, rows, digests))
    shortcuts = find_shortcuts(problem, thumbnails, np.arange(len(rows)))
    named = {label for one in shortcuts for label in one.labels}
    if mark is None:
        assert not named
    else:
        # of two classes, what tells one tells the other
        assert marked[0] in named or (len(classes) == 2 and named)
        assert named <= set(marked)
