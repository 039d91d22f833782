"""Columns of numbers that are to be predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from frostline.core.errors import InputError
from frostline.data.naming import label_text, printable
from frostline.data.sources.mark_columns import UNKNOWN
from frostline.data.sources.target_choice import Place


def holds_numbers(cells: Sequence[Any]) -> bool:
    """Whether cells are finite numbers, some perhaps unknown, but not all."""
    known = False
    for cell in cells:
        value = _number(cell)
        if value is None or math.isinf(value):
            return False
        known = known or not math.isnan(value)
    return known


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
    if text in ("", UNKNOWN):
        return math.nan
    try:
        # Python reads 1_000 as a number, tables do not
        return None if "_" in text else float(text)
    except ValueError:
        return None
