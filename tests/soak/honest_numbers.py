"""Honest numbers, adversarially: hidden copies, wrong labels, shortcuts, sets without sense."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.soak import _coverage, _labels, _leaks, _odd_sets, _shortcuts, record
from tests.soak._pictures import sets

ORDER = 5
TITLE = "Honest numbers, adversarially"
NAME = "honest_numbers"


def run(work: Path, until: float) -> None:
    """Add what is missing, the cheapest first."""
    os.environ["FROSTLINE_CACHE"] = str(work / "cache")
    found: dict[str, Any] = record.read(NAME)
    for part in ("leaks", "shortcuts", "odd_sets", "labels"):
        found.setdefault(part, {})
    found.setdefault("coverage", [])

    def keep() -> None:
        record.write(NAME, found)

    for pictures in sets():
        if time.monotonic() < until:
            _leaks.plant(pictures, work, found["leaks"].setdefault(pictures.name, {}), until, keep)
        own = found["shortcuts"].setdefault(pictures.name, {})
        for mark in (None, *_shortcuts.MARKS):
            _once(own, str(mark), until, partial(_shortcuts.warned, pictures, mark), keep)
    for name in _odd_sets.ODD:
        _once(found["odd_sets"], name, until, partial(_odd_sets.fitted, work, name), keep)
    if time.monotonic() < until:
        _labels.fill(_coverage.digits_task(work / "digits"), found["labels"], keep)
        # many runs: small pictures, so that each is cheap
        task = _coverage.digits_task(work / "digits", side=64)
        _coverage.fill(task, found["coverage"], until, keep)


def _once(
    found: dict[str, Any], key: str, until: float, make: Callable[[], Any], keep: Callable[[], None]
) -> None:
    if key not in found and time.monotonic() < until:
        found[key] = make()
        keep()


def section(found: dict[str, Any]) -> str:
    """The figures in tables, as far as there are any."""
    lines = []
    for key, (title, before, table, after) in _TABLES.items():
        if found.get(key):
            lines += [f"### {title}", "", before, "", *table(found[key]), "", *after]
    return "\n".join(lines)


#: by part: its title, what is done, its table, and what is not defended
_TABLES: dict[str, tuple[str, str, Callable[[Any], list[str]], list[str]]] = {
    "leaks": (
        "Copies that hide",
        "Sixty pictures of each set get one changed copy each, in the test part; counted are those "
        "that are recognised as copies, so that they are named as leaks, or kept together when "
        "Frostline splits by itself.",
        _leaks.table,
        [],
    ),
    "labels": (
        "Wrong labels",
        "Labels of scikit-learn's digits are moved to another class at random, three times each, "
        "and searched by exact leave-one-out probabilities.",
        _labels.table,
        [],
    ),
    "shortcuts": (
        "Shortcuts",
        "A mark on every picture of a class lets a network learn the mark. A warning names the "
        "class and the place when one of 48 places near the border alone tells the class from the "
        "others and places apart from it do not.",
        _shortcuts.table,
        [
            "Not defended: marks in the middle, marks that lie elsewhere in every picture, faint "
            "marks on pictures of many shapes, marks on a part of a class, and shortcuts that are "
            "no place, such as another camera, background or format.",
            "",
        ],
    ),
    "odd_sets": (
        "Sets without sense",
        "Whole fits, `--effort fast`. What is said stands in the terminal, on the first screen of "
        "the report and under `caveats` in `metrics.json`.",
        _odd_sets.table,
        [],
    ),
    "coverage": (
        "Intervals",
        "Runs on the digits with labels that say nothing, and with one digit as a rare class; "
        "counted is how often the reported 95 % interval holds the accuracy on all digits that the "
        "run has not seen.",
        _coverage.table,
        [
            "Where labels say nothing, nothing is learned but which class is the most frequent "
            "among the images at hand. Parts are drawn with equal shares of classes, so the test "
            "part repeats what is only the luck of this draw: the accuracy is that of always "
            "naming the largest class, which is reported beside it with a warning, and lies above "
            "what images with other shares will give.",
            "",
        ],
    ),
}
