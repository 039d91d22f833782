"""Numbers as strata: ranges that hold about equally many images each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray

#: more would make strata of a few images
MOST = 10
#: images that a stratum is to have
_EACH = 10


def quantile_strata(values: npt.ArrayLike, *, most: int = MOST) -> IntArray:
    """Return the number of the range that each value lies in, shape (n,), or (n, m) for columns.

    At most ``most`` ranges, of ten images or more; equal values share one. What is unknown is a
    stratum of its own. Of several columns each range is a column of 0 and 1: an image has one
    label a column, as it were.

    ``values``: shape (n,) or (n, k), NaN where it is not known.
    """
    table = np.asarray(values, dtype=np.float64)
    columns = [_of_one(column, most) for column in table.reshape(len(table), -1).T]
    if len(columns) == 1:
        return columns[0]
    marks = [column[:, None] == np.unique(column) for column in columns]
    return np.concatenate(marks, axis=1).astype(np.int64)


def _of_one(values: FloatArray, most: int) -> IntArray:
    known = values[~np.isnan(values)]
    n = max(1, min(most, len(known) // _EACH))
    edges = np.unique(np.quantile(known, np.arange(1, n) / n)) if n > 1 else np.empty(0)
    found: IntArray = np.searchsorted(edges, values, side="right").astype(np.int64)
    found[np.isnan(values)] = len(edges) + 1
    return found
