"""How well scores rank the images that have a label above those that have not.

Each figure comes with the influence of every image on it: how fast it grows with the weight of the
image. They sum to 0 (:mod:`frostline.stats.score_intervals`).
"""

from __future__ import annotations

import math

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray


def average_precision(scores: FloatArray, positive: BoolArray) -> tuple[float, FloatArray]:
    """Return the mean precision at the place of each positive, and the influences, shape (n,).

    The step-wise area under the precision-recall curve, as scikit-learn has it: images of equal
    score come in at once. NaN, without influence, if there is no positive.

    ``scores``, ``positive``: shape (n,).
    """
    n, n_positive = len(scores), int(positive.sum())
    if not n_positive:
        return math.nan, np.zeros(n)
    order = np.argsort(scores, kind="stable")
    ranked, hits = scores[order], positive[order].astype(np.float64)
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right")
    before = np.concatenate(([0.0], np.cumsum(hits)))
    found = n - first
    precision = (n_positive - before[first]) / found
    mean = float(precision @ hits) / n_positive
    # what one more image of a score does to the precision of the positives at or below it
    one = np.concatenate(([0.0], np.cumsum(hits / found)))[last]
    share = np.concatenate(([0.0], np.cumsum(hits * precision / found)))[last]
    influence = np.empty(n)
    influence[order] = (hits * (precision - mean) + hits * one - share) / n_positive
    return mean, influence


def area_under_roc(scores: FloatArray, positive: BoolArray) -> tuple[float, FloatArray]:
    """Return the share of pairs of a positive and a negative that are ranked rightly, and more.

    Ties count half. The influences, shape (n,), give the variance of DeLong, DeLong and
    Clarke-Pearson (1988). NaN, without influence, if all images are positive or none is.

    ``scores``, ``positive``: shape (n,).
    """
    n, n_positive = len(scores), int(positive.sum())
    if n_positive in (0, n):
        return math.nan, np.zeros(n)
    beaten = _share_below(scores[positive], among=scores[~positive])
    beating = 1.0 - _share_below(scores[~positive], among=scores[positive])
    area = float(beaten.mean())
    influence = np.empty(n)
    influence[positive] = (beaten - area) / n_positive
    influence[~positive] = (beating - area) / (n - n_positive)
    return area, influence


def _share_below(scores: FloatArray, *, among: FloatArray) -> FloatArray:
    """Return the share of others that lie below each score; equal ones count half."""
    ranked = np.sort(among)
    low = np.searchsorted(ranked, scores, side="left")
    high = np.searchsorted(ranked, scores, side="right")
    return np.asarray((low + high) / (2.0 * len(ranked)), dtype=np.float64)
