"""How sure a score is: Wilson, stratified bootstrap, paired differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from frostline.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_DRAWS = 2000


def wilson(right: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927).

    Parameters
    ----------
    right, n : int
        ``right`` of ``n``; n at least 1.
    level : float in (0, 1), default=0.95

    Raises
    ------
    InputError
        If ``n`` is 0.
    """
    if n < 1:
        raise InputError("An interval needs at least one image.")
    z = float(norm.ppf(0.5 + level / 2))
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if right == 0 else max(0.0, middle - half)
    high = 1.0 if right == n else min(1.0, middle + half)
    return float(low), float(high)


def stratified_bootstrap(
    statistic: Callable[[IntArray], FloatArray],
    labels: IntArray,
    *,
    seed: int = 0,
    level: float = 0.95,
    draws: int = _DRAWS,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of rows, resampled within each class.

    Parameters
    ----------
    statistic : callable
        Row counts of shape (draws, n) to values of shape (draws,).
    labels : int array of shape (n,)
    """
    rng = np.random.default_rng([seed, 0xB007])
    counts = np.zeros((draws, len(labels)), dtype=np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        counts[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), draws)
    values = statistic(counts)
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[float, float]:
    """Return the mean of ``first - second`` over the same images, and its standard error.

    Parameters
    ----------
    first, second : bool or float arrays of shape (n,)
        For example, which images each of two models classified rightly.
    """
    gap = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if len(gap) == 0:
        raise InputError("A comparison needs at least one image.")
    error = float(gap.std(ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else 0.0
    return float(gap.mean()), error
