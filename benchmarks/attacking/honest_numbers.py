"""Honest numbers, adversarially: hidden copies, wrong labels, shortcuts, sets without sense."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attacking import _coverage, _labels, _leaks, _odd_sets, _shortcuts, record
from attacking._pictures import sets

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
    """The figures in tables."""
    lines = [
        "### Copies that hide",
        "",
        "Sixty pictures of each set get one changed copy each, in the test part; counted are those "
        "that are recognised as copies, so that they are named as leaks, or kept together when "
        "Frostline splits by itself.",
        "",
        *_leaks.table(found["leaks"]),
        "",
        "### Wrong labels",
        "",
        *_labels.table(found["labels"]),
        "",
        "### Shortcuts",
        "",
        "A mark on every picture of a class lets a network learn the mark. A warning names the "
        "class and the place when one of 64 places alone tells the class from the others and "
        "places apart from it do not.",
        "",
        *_shortcuts.table(found["shortcuts"]),
        "",
        "Not defended: marks in the middle, marks that lie elsewhere in every picture, marks on a "
        "part of a class, and shortcuts that are no place, such as another camera, background or "
        "format.",
        "",
        "### Sets without sense",
        "",
        *_odd_sets.table(found["odd_sets"]),
        "",
        "### Intervals",
        "",
        *_coverage.table(found["coverage"]),
        "",
    ]
    return "\n".join(lines)
