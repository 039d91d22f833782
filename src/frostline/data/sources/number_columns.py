"""Columns of numbers that are to be predicted."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from frostline.core.errors import InputError
from frostline.data.naming import label_text, printable
from frostline.data.sources.mark_columns import UNKNOWN
from frostline.data.sources.target_choice import Place

#: digits with a sign, a comma or a unit, or what stands for infinity
_LIKE_A_NUMBER = re.compile(r"[-+]?(\d[\d.,e+-]*|inf|infinity)\s*\D{0,4}", re.IGNORECASE)


def holds_numbers(cells: Sequence[Any]) -> bool:
    """Whether cells are finite numbers, some perhaps unknown, but not all."""
    known = False
    for cell in cells:
        value = _number(cell)
        if value is None or math.isinf(value):
            return False
        known = known or not math.isnan(value)
    return known


def meant_as_numbers(cells: Sequence[Any]) -> bool:
    """Whether cells read as numbers but for a few, a unit or a comma, and are no classes.

    Most rows hold a value of their own, so that there would be no second image of a class.
    """
    texts = [text for cell in cells if not _blank(text := label_text(cell))]
    if 2 * len(set(texts)) <= len(texts):
        return False
    return sum(_LIKE_A_NUMBER.fullmatch(text) is not None for text in texts) >= 0.9 * len(texts)


def _blank(text: str) -> bool:
    return text in ("", UNKNOWN)


def read_numbers(title: str, cells: Sequence[Any], place: Place) -> list[float]:
    """Return numbers, NaN for what is blank, ``?``, None or NaN.

    Raises InputError for text, lists and what is infinite.

    ``title``: what to call the column in messages, such as ``"Table a.csv: column 'angle'"``.
    """
    found = []
    for i, cell in enumerate(cells):
        value = _number(cell)
        if value is None or math.isinf(value):
            shown = printable(str(cell) if value is None else label_text(cell))[:60]
            comma = value is None and _number(shown.replace(",", ".")) is not None
            raise InputError(
                f"{title} holds {shown!r} in {place(i)}; expected a finite number.",
                hint="Write decimals with a point."
                if comma
                else "Leave the cell blank where the number is not known.",
            )
        found.append(value)
    return found


def _number(cell: Any) -> float | None:
    """Return what a cell says, NaN where it is not known; None where it is no number."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, (list, tuple)) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, (list, tuple, set, dict)):
        return None
    text = label_text(cell)
    if _blank(text):
        return math.nan
    try:
        # Python reads 1_000 as a number, tables do not
        return None if "_" in text else float(text)
    except ValueError:
        return None
