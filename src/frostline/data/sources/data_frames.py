"""A pandas or polars DataFrame with the columns path, label and perhaps split, group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from frostline.core.errors import InputError
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.listing import Listing
from frostline.data.naming import printable, shorten
from frostline.data.sources.columns import Table, comparable, is_headed
from frostline.data.sources.tables import list_rows
from frostline.data.sources.target_choice import ANY, TargetChoice


def is_frame(source: object) -> bool:
    """Whether ``source`` looks like a DataFrame; nothing is imported to find out."""
    return (
        hasattr(source, "columns")
        and hasattr(source, "shape")
        and hasattr(source, "__getitem__")
        and not isinstance(source, np.ndarray)
    )


def list_frame(frame: Any, *, group_by: str | None = None, choice: TargetChoice = ANY) -> Listing:
    """List the images of a DataFrame, by the rules for tables; opens no image.

    Raises InputError for wrong columns, blank cells, unknown split values, repeated or missing
    files; SettingsError if the column ``group_by`` does not exist.

    ``frame``: of pandas or polars, or a table of pyarrow. Columns ``path``, ``label`` and, where
    wanted, ``split``, ``group`` and ``weight``, in any case; no other column is looked at. Relative
    paths start from the current folder. ``group_by``: column that holds groups; ``group``, if there
    is one, when None. ``choice``: what is predicted, and from which columns.
    """
    table = open_frame(frame)
    return list_rows("The DataFrame", Path.cwd(), table, group_by=group_by, choice=choice)


def open_frame(frame: Any) -> Table:
    """Return the columns of a DataFrame.

    Raises InputError if its names of columns are rows, or its columns an index.
    """
    # the columns of a table of pyarrow are not names
    given = list(getattr(frame, "column_names", frame.columns))
    names = [str(name) for name in given]
    _check_header(frame, names)
    rows = len(frame)
    index = getattr(frame, "index", None)
    places: Sequence[Any] = range(rows) if index is None else index
    return Table(
        names=names,
        length=rows,
        cells=lambda column: _cells(frame[given[column]]),
        place=lambda row: f"row {places[row]}",
        order=lambda column: order_in(frame[given[column]]),
    )


def order_in(column: Any) -> list[Any] | None:
    """Return the ordered categories of a column of pandas, the lowest first; None without them."""
    kind: Any = getattr(column, "dtype", None)
    return list(kind.categories) if getattr(kind, "ordered", False) else None


def _cells(column: Any) -> list[Any]:
    listed: list[Any] = column.to_list() if hasattr(column, "to_list") else column.to_pylist()
    return listed


def _check_header(frame: Any, names: Sequence[str]) -> None:
    """Refuse frames whose names of columns are rows, or whose columns are an index."""
    index = getattr(frame, "index", None)
    for name in getattr(index, "names", ()) or ():
        if name is not None and comparable(str(name)) in ("path", "label"):
            raise InputError(
                f"The DataFrame has {str(name)!r} as its index, not as a column.",
                hint="Give frame.reset_index().",
            )
    if is_headed(names):
        return
    if any(PurePath(name.replace("\\", "/")).suffix.lower() in EXTENSIONS for name in names):
        raise InputError(
            f"The columns of the DataFrame are called {shorten([printable(n) for n in names])}, as "
            "a first row would be.",
            hint="Read it with read_csv(..., header=None, names=['path', 'label']).",
        )
