"""Marks that give a class away are named with their place; ordinary sets raise no alarm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import elpv_dataset
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from frostline.core.run_record import Shortcut
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.problem import Problem
from frostline.evidence.shortcuts import find_shortcuts
from frostline.wording.shortcuts import shortcut_sentence

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """Thumbnails with labels."""

    thumbnails: UInt8Array
    labels: npt.NDArray[np.int64]

    @property
    def catalog(self) -> Catalog:
        rows = tuple(
            ImageRow(Path(f"/x/{i}"), f"{i}.png", int(label), None, None)
            for i, label in enumerate(self.labels)
        )
        classes = tuple(f"class {c}" for c in range(int(self.labels.max()) + 1))
        return Catalog("x", classes, rows, tuple(f"{i:064x}" for i in range(len(rows))))

    def shortcuts(self) -> list[Shortcut]:
        return find_shortcuts(
            Problem.of(self.catalog), self.thumbnails, np.arange(len(self.labels))
        )


@pytest.fixture(scope="module")
def digits() -> Pictures:
    data = load_digits()
    grey = (data.images[:600] * 15.9).astype(np.uint8)
    return Pictures(
        np.stack([thumbnail(Image.fromarray(x).convert("RGB")) for x in grey]),
        data.target[:600].astype(np.int64),
    )


@pytest.fixture(scope="module")
def cells() -> Pictures:
    home = Path(elpv_dataset.__file__).parent / "data"
    lines = (home / "labels.csv").read_text().splitlines()[:300]
    thumbnails = []
    for line in lines:
        with Image.open(home / line.split()[0]) as picture:
            thumbnails.append(thumbnail(picture.convert("RGB")))
    defective = [float(line.split()[1]) > 0.5 for line in lines]
    return Pictures(np.stack(thumbnails), np.array(defective).astype(np.int64))


def test_ordinary_sets_raise_no_alarm(digits: Pictures, cells: Pictures) -> None:
    assert digits.shortcuts() == []
    assert cells.shortcuts() == []


@pytest.mark.parametrize("which", ["digits", "cells"])
def test_a_mark_on_one_class_is_named_with_its_place(
    which: str, request: pytest.FixtureRequest
) -> None:
    pictures: Pictures = request.getfixturevalue(which)
    marked = pictures.thumbnails.copy()
    own = pictures.labels == 1
    # half transparent, four pixels of 32 wide, at the right edge of the second row of places
    marked[own, 4:8, 28:32] = marked[own, 4:8, 28:32] // 2 + 110
    (found,) = Pictures(marked, pictures.labels).shortcuts()
    assert "class 1" in found.labels or len(set(pictures.labels)) == 2
    assert (found.row, found.column) == (1, 7)
    assert found.tells > 0.985
    assert "top right (at 94% of the width and 19% of the height)" in shortcut_sentence(found)


def test_a_frame_is_a_mark_along_the_border(cells: Pictures) -> None:
    framed = cells.thumbnails.copy()
    own = np.flatnonzero(cells.labels == 1)
    for edge in ((slice(None), 0), (slice(None), 31), (0,), (31,)):
        framed[(own, *edge)] = (120, 20, 20)
    (found,) = Pictures(framed, cells.labels).shortcuts()
    assert found.border
    assert "along its border" in shortcut_sentence(found)


def test_a_class_that_differs_everywhere_is_no_shortcut(cells: Pictures) -> None:
    brighter = cells.thumbnails.copy()
    own = cells.labels == 1
    brighter[own] = 128 + brighter[own] // 2
    assert Pictures(brighter, cells.labels).shortcuts() == []


def test_marks_on_random_labels_of_few_images_are_not_imagined(cells: Pictures) -> None:
    for seed in range(5):
        labels = np.random.default_rng(seed).integers(0, 2, 30)
        assert Pictures(cells.thumbnails[:30], labels).shortcuts() == []


def test_many_classes_at_one_place_are_one_sentence(digits: Pictures) -> None:
    marked = digits.thumbnails.copy()
    for c in range(5):
        marked[digits.labels == c, :4, :4] = (40 * c, 250 - 40 * c, 90 * (c % 3))
    found = Pictures(marked, digits.labels).shortcuts()
    assert len(found) == 1 and len(found[0].labels) >= 3
    assert shortcut_sentence(found[0]).startswith("One place in the picture, top left")


def test_a_mark_that_the_model_cannot_see_is_not_named(digits: Pictures) -> None:
    marked = digits.thumbnails.copy()
    own = digits.labels == 1
    marked[own, 4:8, 28:32] = marked[own, 4:8, 28:32] // 2 + 110
    pictures = Pictures(marked, digits.labels)

    def found(width: float) -> list[Shortcut]:
        seen = np.tile([width, 1.0], (len(marked), 1))
        problem = Problem.of(pictures.catalog)
        return find_shortcuts(problem, pictures.thumbnails, np.arange(len(marked)), seen=seen)

    assert [(one.row, one.column) for one in found(0.875)] == [(1, 7)]
    assert found(0.75) == []
