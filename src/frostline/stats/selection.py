"""Some rows and columns of a table, gathered a part at a time: never copied as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray

Floating = npt.NDArray[np.floating]


class Selection:
    """A table of features (n, d) that rests on a larger one.

    ``selection[rows]`` gathers rows into a new array; ``numpy.asarray`` gathers all of them.

    ``table``, shape (N, D): shared, never changed. ``rows``, shape (n,): rows of the table; below 0
    for a row that is not there, which reads as NaN. ``columns``: columns of the table, side by side
    in this order.
    """

    def __init__(self, table: Floating, rows: IntArray, columns: Sequence[slice]) -> None:
        self._table = table
        self._rows = np.asarray(rows, dtype=np.int64)
        self._columns = _joined(columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self._rows), sum(c.stop - c.start for c in self._columns)

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """That of the table."""
        return self._table.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice | IntArray) -> Floating:
        chosen = self._rows[rows]
        parts = [self._table[chosen, columns] for columns in self._columns]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        absent = chosen < 0
        if absent.any():
            values[absent] = np.nan
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("A selection of rows can only be copied into an array.")
        values = self[:]
        return values if dtype is None else values.astype(dtype, copy=False)

    def part(self, rows: IntArray) -> Selection:
        """Return a selection of some of these rows."""
        return Selection(self._table, self._rows[rows], self._columns)

    def only(self, columns: slice) -> Selection:
        """Return a selection of some of these columns, counted from the first one here."""
        found, start = [], 0
        for own in self._columns:
            low = max(columns.start - start, 0)
            high = min(columns.stop - start, own.stop - own.start)
            if low < high:
                found.append(slice(own.start + low, own.start + high))
            start += own.stop - own.start
        return Selection(self._table, self._rows, found)


#: what linear models read, a chunk of rows at a time
Features = Floating | Selection


def part_of(features: Features, rows: IntArray) -> Selection:
    """Return some rows of an array or of a selection, without copying them."""
    if isinstance(features, Selection):
        return features.part(rows)
    return Selection(features, rows, [slice(0, features.shape[1])])


def _joined(columns: Iterable[slice]) -> tuple[slice, ...]:
    """Return the same columns in as few slices as possible: each costs a gathering."""
    found: list[slice] = []
    for one in columns:
        if found and found[-1].stop == one.start:
            found[-1] = slice(found[-1].start, one.stop)
        else:
            found.append(slice(one.start, one.stop))
    return tuple(found)
