"""Columns of 0 and 1: one label each, that an image has, lacks, or of which nobody knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from frostline.core.errors import InputError
from frostline.data.naming import label_text, printable
from frostline.data.sources.columns import Table
from frostline.data.sources.target_choice import Targets

#: how text says that something is not known
UNKNOWN = "?"
_WRITTEN = {
    "0": 0.0,
    "0.0": 0.0,
    "false": 0.0,
    "1": 1.0,
    "1.0": 1.0,
    "true": 1.0,
    "": math.nan,
    UNKNOWN: math.nan,
}


def mark_value(cell: Any) -> float | None:
    """Return what a cell says: 1.0, 0.0, NaN where it is not known; None for anything else."""
    if cell is None or isinstance(cell, (str, int, float)) or hasattr(cell, "dtype"):
        return _WRITTEN.get(label_text(cell).lower())
    # pandas' NA is of no type that can be named without it
    return math.nan if type(cell).__name__ == "NAType" else None


def is_unknown(cell: Any) -> bool:
    """Whether a cell says that something is not known."""
    value = mark_value(cell)
    return value is not None and math.isnan(value)


def holds_marks(cells: Sequence[Any]) -> bool:
    """Whether cells are 0 and 1, some perhaps unknown, but not all."""
    known = False
    for cell in cells:
        value = mark_value(cell)
        if value is None:
            return False
        known = known or not math.isnan(value)
    return known


def read_marks(title: str, table: Table, columns: Sequence[int]) -> Targets:
    """Return what columns of 0 and 1 say; each is a label by its name.

    Raises InputError for any other cell.

    ``title``: what to call the table in messages. ``columns``: their positions.
    """
    values = []
    for column in columns:
        cells = table.cells(column)
        own = [mark_value(cell) for cell in cells]
        wrong = [i for i, value in enumerate(own) if value is None]
        if wrong:
            raise InputError(
                f"{title}: column {table.names[column].strip()!r} holds "
                f"{printable(label_text(cells[wrong[0]]))!r} in {table.place(wrong[0])}; expected "
                "0 or 1, or nothing where it is not known.",
                hint="-1 often stands for unknown: leave such cells blank."
                if label_text(cells[wrong[0]]) == "-1"
                else "For numbers say --task regression.",
            )
        values.append([math.nan if value is None else value for value in own])
    names = tuple(printable(table.names[column].strip()) for column in columns)
    kept: dict[tuple[str, ...], tuple[float, ...]] = {}
    # NaN equals nothing, so rows are compared as they are written
    rows = [kept.setdefault(tuple(map(repr, row)), row) for row in zip(*values, strict=True)]
    return Targets("multilabel", values=rows, outputs=names)
