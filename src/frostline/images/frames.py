"""A pandas or polars DataFrame with the columns path, label and perhaps split, group."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from frostline.images.listing import Listing
from frostline.images.naming import label_text
from frostline.images.tables import Row, list_rows


def is_frame(source: object) -> bool:
    """Whether ``source`` looks like a DataFrame; nothing is imported to find out."""
    return (
        hasattr(source, "columns")
        and hasattr(source, "shape")
        and hasattr(source, "__getitem__")
        and not isinstance(source, np.ndarray)
    )


def list_frame(frame: Any, *, group_by: str | None = None) -> Listing:
    """List the images of a DataFrame, by the rules for tables; opens no image.

    Parameters
    ----------
    frame : DataFrame
        Columns ``path``, ``label`` and, where wanted, ``split`` and ``group``, in any case.
        Relative paths start from the current folder.
    group_by : str or None, default=None
        Column that holds groups; ``group``, if there is one, when None.

    Raises
    ------
    InputError
        For wrong columns, blank cells, unknown split values, repeated or missing files.
    SettingsError
        If the column ``group_by`` does not exist.
    """
    names = list(frame.columns)
    columns = [str(name).strip().lower() for name in names]
    counts = Counter(columns)
    cells: dict[str, list[str]] = {}
    for column, name in zip(columns, names, strict=True):
        # columns of one name are refused below; their content cannot be told apart
        if counts[column] == 1:
            cells[column] = [label_text(value) for value in frame[name].to_list()]
    places = list(frame.index) if hasattr(frame, "index") else range(len(frame))
    rows: list[Row] = [
        ({name: values[i] for name, values in cells.items()}, f"row {place}")
        for i, place in enumerate(places)
    ]
    return list_rows("The DataFrame", Path.cwd(), columns, rows, group_by=group_by)
