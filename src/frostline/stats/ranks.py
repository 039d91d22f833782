"""Ranks, and how alike two orders are, without scipy.stats, which takes a second to import."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray


def average_ranks(values: npt.ArrayLike, *, axis: int = 0) -> FloatArray:
    """Return ranks from 1 along an axis; equal values share the mean of their ranks.

    Parameters
    ----------
    values : array_like
        Finite numbers.

    Returns
    -------
    ndarray of the same shape, float64
    """
    array = np.asarray(values, dtype=np.float64)
    columns = np.moveaxis(array, axis, -1)
    found = np.empty(columns.shape)
    for place in np.ndindex(columns.shape[:-1]):
        column = columns[place]
        ordered = np.sort(column)
        below = np.searchsorted(ordered, column, side="left")
        upto = np.searchsorted(ordered, column, side="right")
        found[place] = (below + upto + 1) / 2
    return np.moveaxis(found, -1, axis)


def kendall_tau(first: Sequence[float], second: Sequence[float | None]) -> float | None:
    """Return Kendall's tau-b of two orders (Kendall 1945, "The treatment of ties").

    The result: in [-1, 1]; None where one of the two does not order anything.
    """
    one = np.sign(np.subtract.outer(np.asarray(first, float), np.asarray(first, float)))
    other = np.sign(np.subtract.outer(np.asarray(second, float), np.asarray(second, float)))
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / size) if size > 0 else None
