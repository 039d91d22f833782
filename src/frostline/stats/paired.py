"""Two models on the same images: how much they differ, how sure that is, and for how many scores.

What is compared are contributions (:mod:`frostline.stats.score_contributions`), whose mean is the
score. The error counts groups (:func:`frostline.stats.intervals.paired_difference`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.intervals import clustered_error, student_quantile
from frostline.stats.score_intervals import group_numbers

#: of the central interval whose lower end is the one-sided bound of 95 %
_ONE_SIDED = 0.9


@dataclass(frozen=True)
class PairedDifference:
    """The score of one model less that of another, on the same images.

    Attributes
    ----------
    difference : float
    interval : (float, float)
        Of 95 %.
    bounds : (float, float)
        The difference is above the first with 95 % confidence, and below the second with as much.
    p_value : float
        Two-sided, that there is no difference.
    n, n_groups : int
        Images, and groups of images that succeed and fail together.
    """

    difference: float
    interval: tuple[float, float]
    bounds: tuple[float, float]
    p_value: float
    n: int
    n_groups: int


def compare_paired(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    reach: float = 1.0,
) -> PairedDifference:
    """Compare what images contribute to the score of two models; the result is second less first.

    As if two more groups of average size had been judged, of which either model had won one: the
    adjustment of Bonett and Price (2012) for paired shares, here with groups. Without it, models
    that agree on all of twenty images would be said to differ by exactly nothing. Raises InputError
    if shapes differ or there is no image.

    Parameters
    ----------
    first, second : array of shape (n,)
        Contributions of the same images, in the same order.
    groups : array of shape (n,) or None, default=None
        Images of one group succeed and fail together; every image is one of its own for None.
    reach : float, default=1.0
        By how much a model that wins an image changes its contribution; 0 leaves the adjustment
        out, for scores without a natural step.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise InputError(
            f"Paired models need the same images, at least one, not {a.shape} and {b.shape}."
        )
    gained = b - a
    codes = group_numbers(groups, len(a))
    sizes = np.bincount(codes)
    n_groups = len(sizes)
    centre, error, freedom = _adjusted(gained, codes, sizes, reach)
    two, one = (student_quantile(max(freedom, 1), level) * error for level in (0.95, _ONE_SIDED))
    if freedom < 1:
        two = one = math.inf
    return PairedDifference(
        difference=float(gained.mean()),
        interval=(centre - two, centre + two),
        bounds=(centre - one, centre + one),
        p_value=_p_value(centre, error, freedom),
        n=len(a),
        n_groups=n_groups,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that hold for all of them together (Holm 1979).

    Where one of the results is below 0.05, the chance that any true null hypothesis is rejected is
    at most 5 %, however the tests depend on each other.
    """
    order = np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, number in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[number]))
        adjusted[number] = highest
    return adjusted


def _adjusted(
    gained: FloatArray, codes: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], reach: float
) -> tuple[float, float, int]:
    """Return the mean, its error and the degrees of freedom, with one group more each way."""
    n, n_groups = len(gained), len(sizes)
    if reach <= 0.0:
        mean = float(gained.mean())
        # a mean that no rounding blurs where all differ alike
        error = 0.0 if np.ptp(gained) == 0.0 else clustered_error(gained - mean, codes) / n
        return mean, math.inf if n_groups < 2 else error, n_groups - 1
    size = n / n_groups
    total = n + 2.0 * size
    mean = float(gained.sum()) / total
    own = np.bincount(codes, weights=gained) - mean * sizes
    more = (np.array([reach, -reach]) - mean) * size
    every = np.concatenate([own, more])
    variance = float(np.square(every).sum()) * len(every) / (len(every) - 1)
    return mean, math.sqrt(variance) / total, n_groups + 1


def _p_value(centre: float, error: float, freedom: int) -> float:
    """Return the two-sided p-value of Student's law, by the normal one of Wallace (1959)."""
    if freedom < 1 or centre == 0.0 or math.isinf(error):
        return 1.0
    if error == 0.0:
        return 0.0
    squared = (centre / error) ** 2
    bent = math.sqrt(freedom * math.log1p(squared / freedom))
    z = bent * (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
    return math.erfc(z / math.sqrt(2.0))
