"""What a score becomes where a value is as frequent in every class as in all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.stats.balanced_gains import BalancedGains
from frostline.stats.intervals import student_quantile

#: images of a cell whose own spread is believed; below, that of its class stands for it
_ENOUGH = 5
_TINY = 1e-12


@dataclass(frozen=True)
class BrokenPattern:
    """Scores of images by what they are worth, class by class and value by value.

    - ``score``: where every class has each value as often as all images do, with its ``interval``.
    - ``fall``: how much less that is than the score of the images as they are, with its
      ``fall_interval`` and the two-sided ``p_value`` that there is no difference.
    - ``common``, ``rare``: the mean of images whose value is more frequent in their class than in
      all, and of those whose value is not, over the classes that have both; None where none has.
    """

    score: float
    interval: tuple[float, float]
    fall: float
    fall_interval: tuple[float, float]
    p_value: float
    common: float | None
    rare: float | None


@dataclass(frozen=True)
class _Cells:
    """Entries, one of each image and column that is known, by their class and value.

    ``images``, ``cell``, ``worth`` and ``plain``: of each entry: its image, its cell, what it adds
    to the score, and its gain. ``count``, ``mean`` and ``variance``, shape (classes, values): of
    the worth of a cell's entries.
    """

    images: IntArray
    cell: IntArray
    worth: FloatArray
    plain: FloatArray
    count: FloatArray
    mean: FloatArray
    variance: FloatArray
    n: int

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the sum of something over the entries of each cell."""
        found = np.bincount(self.cell, weights=values, minlength=self.count.size)
        return np.asarray(found, dtype=np.float64).reshape(self.count.shape)

    def weighted(self, weights: FloatArray) -> tuple[float, float]:
        """Return the sum of means by weights (classes, values), and its standard error."""
        each = weights / np.maximum(self.count, 1.0)
        cells = float((each**2 * self.count * self.variance).sum())
        # columns of one image are right and wrong together
        residual = each.ravel()[self.cell] * (self.worth - self.mean.ravel()[self.cell])
        images = float(np.square(np.bincount(self.images, weights=residual)).sum())
        return float((weights * self.mean).sum()), math.sqrt(max(cells, images))


def broken_pattern(gains: BalancedGains, codes: IntArray, strata: IntArray) -> BrokenPattern:
    """Standardise a score: each class by the values of all images (direct standardisation).

    A class that lacks a value is judged by those that it has: nothing is made up. Intervals are
    those of means of cells; a cell where all are right is not taken for certain (its variance is
    that of one more right and one more wrong answer).

    ``codes``, shape (n,): the value of every image. ``strata``, shape (n, k): its class, for each
    column of the gains.
    """
    cells = _cells(gains, codes, strata)
    there = cells.count > 0
    by_value = np.where(there, np.bincount(codes, minlength=there.shape[1]) / len(codes), 0.0)
    by_value /= np.maximum(by_value.sum(axis=1, keepdims=True), _TINY)
    own = cells.count / cells.n
    asked = own.sum(axis=1, keepdims=True) * by_value
    score, error = cells.weighted(asked)
    fall, fall_error = cells.weighted(own - asked)
    reach = student_quantile(max(cells.n - 1, 1))
    common = _common(cells)
    return BrokenPattern(
        score=score,
        interval=(score - reach * error, min(1.0, score + reach * error)),
        fall=fall,
        fall_interval=(fall - reach * fall_error, fall + reach * fall_error),
        p_value=1.0 if fall_error == 0.0 else math.erfc(abs(fall) / fall_error / math.sqrt(2.0)),
        common=None if common is None else common[0],
        rare=None if common is None else common[1],
    )


def _cells(gains: BalancedGains, codes: IntArray, strata: IntArray) -> _Cells:
    known: BoolArray = gains.weights > 0.0
    images, columns = np.nonzero(known)
    named = np.stack([columns, strata[images, columns]], axis=1)
    _, classes = np.unique(named, axis=0, return_inverse=True)
    classes = classes.ravel()
    shape = (int(classes.max(initial=0)) + 1, int(codes.max(initial=0)) + 1)
    cell = np.ravel_multi_index((classes, codes[images]), shape)
    plain, most = gains.gains[known], gains.shares[known]
    worth = plain * most

    def sums(values: FloatArray) -> FloatArray:
        found = np.bincount(cell, weights=values, minlength=shape[0] * shape[1])
        return np.asarray(found, dtype=np.float64).reshape(shape)

    count = sums(np.ones(len(cell)))
    mean = sums(worth) / np.maximum(count, 1.0)
    own = sums(np.square(worth - mean.ravel()[cell])) / np.maximum(count - 1.0, 1.0)
    size = np.maximum(np.bincount(classes, minlength=shape[0]), 1)
    class_mean = np.bincount(classes, weights=worth, minlength=shape[0]) / size
    around = np.square(worth - class_mean[classes])
    of_class = np.bincount(classes, weights=around, minlength=shape[0]) / np.maximum(size - 1, 1)
    variance = np.where(count >= _ENOUGH, own, np.maximum(own, of_class[:, None]))
    if gains.name != "r2":
        # answers that are right or wrong
        unit = sums(most) / np.maximum(count, 1.0)
        share = (sums(plain) + 1.0) / (count + 2.0)
        variance = np.maximum(variance, share * (1.0 - share) * unit**2)
    return _Cells(images, cell, worth, plain, count, mean, variance, len(codes))


def _common(cells: _Cells) -> tuple[float, float] | None:
    """Compare cells that are more frequent in their class than in all with the others."""
    count = cells.count
    overall = count.sum(axis=0) / max(float(count.sum()), _TINY)
    frequent = count > overall * count.sum(axis=1, keepdims=True)
    total = cells.sums(cells.plain)
    many, few = (count * frequent).sum(axis=1), (count * ~frequent).sum(axis=1)
    both = (many > 0) & (few > 0)
    if not both.any():
        return None
    # classes by how surely they tell the difference (Mantel and Haenszel 1959)
    weight = many[both] * few[both] / (many + few)[both]
    weight /= weight.sum()
    high = ((total * frequent).sum(axis=1)[both] / many[both]) @ weight
    low = ((total * ~frequent).sum(axis=1)[both] / few[both]) @ weight
    return float(high), float(low)
