"""By how much images with a mark do better than those without, class by class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.stats.intervals import clustered_error, student_quantile


@dataclass(frozen=True)
class Lean:
    """How much better images with a mark do than those without.

    - ``marked``, ``unmarked``: the mean of either, over the classes that have both, each class by
      how much it tells.
    - ``difference``, with its 95 % ``interval``.
    - ``p_value``: two-sided, that there is none.
    - ``images``: that count.
    """

    marked: float
    unmarked: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    images: int


def lean(gains: FloatArray, marked: BoolArray, strata: IntArray, groups: IntArray) -> Lean | None:
    """Compare marked with other images within strata; None where none has both.

    Strata are weighed by how surely they tell the difference, ``n_marked * n_other / n``, as
    Mantel and Haenszel (1959) weigh tables. The interval counts groups.

    ``gains``, shape (n,): what every image is worth. ``strata``, shape (n,): usually classes.
    """
    weight = np.zeros(len(gains))
    other_weight = np.zeros(len(gains))
    for stratum in np.unique(strata).tolist():
        own = strata == stratum
        n_marked, n_other = int((own & marked).sum()), int((own & ~marked).sum())
        if n_marked and n_other:
            share = n_marked * n_other / (n_marked + n_other)
            weight[own & marked] = share / n_marked
            other_weight[own & ~marked] = share / n_other
    total = float(weight.sum())
    if total == 0.0:
        return None
    weight, other_weight = weight / total, other_weight / total
    with_mark, without = float(weight @ gains), float(other_weight @ gains)
    signed = weight - other_weight
    # within its stratum and mark, so that the error is that of the means
    residual = np.zeros(len(gains))
    for stratum in np.unique(strata).tolist():
        for mark in (True, False):
            cell = (strata == stratum) & (marked == mark)
            if cell.any():
                residual[cell] = gains[cell] - gains[cell].mean()
    counted = signed != 0.0
    codes = np.unique(groups[counted], return_inverse=True)[1]
    error = clustered_error(signed[counted] * residual[counted], codes)
    reach = student_quantile(max(int(codes.max()), 1)) * error
    difference = with_mark - without
    return Lean(
        marked=with_mark,
        unmarked=without,
        difference=difference,
        interval=(difference - reach, difference + reach),
        p_value=_two_sided(difference, error),
        images=int(counted.sum()),
    )


def more_frequent(codes: IntArray, strata: IntArray) -> BoolArray:
    """Return which images have a value that is more frequent in their class than in all.

    ``codes``, shape (n,): the value of every image. ``strata``, shape (n,): its class.
    """
    _, classes = np.unique(strata, return_inverse=True)
    table = np.zeros((int(classes.max()) + 1, int(codes.max()) + 1))
    np.add.at(table, (classes, codes), 1.0)
    frequent = table * len(codes) > table.sum(axis=0) * table.sum(axis=1, keepdims=True)
    found: BoolArray = frequent[classes, codes]
    return found


def _two_sided(difference: float, error: float) -> float:
    if error == 0.0 or math.isinf(error):
        return 1.0
    return math.erfc(abs(difference) / error / math.sqrt(2.0))
