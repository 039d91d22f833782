"""Whole fits of sets without sense: what the numbers are worth is said, or the set is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import frostline
from frostline.core.errors import InputError
from tests.soak.pictures import cells, digits, write_table

pytestmark = pytest.mark.soak
Set = tuple[list[Image.Image], list[str]]


def _shuffled(n: int) -> Set:
    of = digits()
    order = np.random.default_rng(0).permutation(len(of.labels))
    return of.images[:n], [of.labels[i] for i in order][:n]


def _two_classes() -> Set:
    images = digits().images
    heads = np.random.default_rng(0).random(len(images)) < 0.8
    return images, ["heads" if head else "tails" for head in heads]


def _thousand_classes() -> Set:
    small = [image.resize((64, 64)) for image in cells().images[:2000]]
    return small, [f"class {i % 1000:04d}" for i in range(2000)]


def _two_against_all() -> Set:
    of = digits()
    nines = [i for i, label in enumerate(of.labels) if label == "digit 9"][:2]
    others = [i for i, label in enumerate(of.labels) if label != "digit 9"]
    return [of.images[i] for i in [*others, *nines]], ["other"] * len(others) + ["nine"] * 2


def _in_turn(images: list[Image.Image]) -> Set:
    return images, ["a" if i % 2 else "b" for i in range(len(images))]


#: by name: the set, and a part of what is said about it or of why it is refused
_ODD: dict[str, tuple[Callable[[], Set], str]] = {
    "random labels, ten classes": (lambda: _shuffled(1797), "nothing was learned that helps"),
    "random labels, 300 images": (lambda: _shuffled(300), "nothing was learned that helps"),
    "random labels, 80 to 20": (_two_classes, "nothing was learned that helps"),
    "1,000 classes of 2 images": (_thousand_classes, "nothing was learned that helps"),
    "2 images against 1,617": (_two_against_all, "too few, or too unequal, to tell"),
    # each has a size of its own, and so other bytes
    "60 blank pictures": (
        lambda: _in_turn([Image.new("RGB", (40 + i, 40), (200, 200, 200)) for i in range(60)]),
        "nothing was learned that helps",
    ),
    "one image in a class": (
        lambda: (digits().images[:60], [*digits().labels[:59], "only one"]),
        "every class needs at least 2",
    ),
    "one picture 60 times": (lambda: _in_turn([digits().images[0]] * 60), "copies of one picture"),
    "one picture for each class": (
        lambda: _in_turn([digits().images[i % 2] for i in range(60)]),
        "Every class consists of a single group",
    ),
}


@pytest.mark.parametrize("name", _ODD)
def test_what_numbers_are_worth_is_said(name: str, tmp_path: Path) -> None:
    make, words = _ODD[name]
    table = write_table(tmp_path / "images", *make())
    try:
        result = frostline.fit(table, tmp_path / "run", effort="fast", seed=0)
    except InputError as refused:
        assert words in str(refused)
        return
    assert words in " ".join(result.metrics["caveats"])
    test = result.metrics["test"]
    low, high = test["accuracy_interval"]
    assert low <= test["baseline"]["accuracy"] <= high
    assert (tmp_path / "run" / "report.html").stat().st_size < 5_000_000
