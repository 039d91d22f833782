"""How well outputs tell the truth where every class counts alike: a score that no imbalance raises.

Whoever asks whether something other than the picture gives the label away needs such a score: a
guess of the largest class must be worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray

#: balanced accuracy, of classes or of the two answers about every label; R2 of numbers
BalancedScore = Literal["balanced_accuracy", "r2"]
#: keeps shares and spreads from being 0
_TINY = 1e-12


@dataclass(frozen=True)
class BalancedGains:
    """What every cell, an image or one output of it, is worth and how much it counts.

    - ``name``: what their weighted mean is.
    - ``gains``, shape (n, k): 1 for a right answer and 0 for a wrong one, or 1 less the squared
      error in variances.
    - ``weights``, shape (n, k): 0 where nobody knows the truth.
    - ``chance``: the score of outputs that know nothing.
    """

    name: BalancedScore
    gains: FloatArray
    weights: FloatArray
    chance: float

    @property
    def score(self) -> float:
        """The weighted mean."""
        return float(np.sum(self.gains * self.weights) / max(float(self.weights.sum()), _TINY))

    @property
    def each(self) -> FloatArray:
        """What every image contributes, shape (n,): the mean is the score."""
        found: FloatArray = np.sum(self.gains * self.shares, axis=1)
        return found

    @property
    def shares(self) -> FloatArray:
        """What every cell contributes where its gain is 1, shape (n, k)."""
        return self.weights * (len(self.weights) / max(float(self.weights.sum()), _TINY))

    @property
    def plain(self) -> FloatArray:
        """The mean of every image's own cells, shape (n,), all that are known alike."""
        known = self.weights > 0.0
        count = np.maximum(known.sum(axis=1), 1)
        found: FloatArray = np.where(known, self.gains, 0.0).sum(axis=1) / count
        return found


def gains_of_classes(outputs: FloatArray, labels: IntArray, shares: FloatArray) -> BalancedGains:
    """Judge classes; the answer is the one whose output is most above its share.

    ``outputs``, shape (n, k): of a fit to columns of 0 and 1. ``labels``: shape (n,). ``shares``,
    shape (k,) or (n, k): of each class among the images that the fit learned from.
    """
    decided = np.argmax(outputs / np.maximum(shares, _TINY), axis=1)
    counts = np.bincount(labels, minlength=outputs.shape[1])
    right = (decided == labels).astype(np.float64)
    weights = (1.0 / counts[labels])[:, None]
    chance = 1.0 / np.count_nonzero(counts)
    return BalancedGains("balanced_accuracy", right[:, None], weights, chance)


def gains_of_labels(outputs: FloatArray, truth: FloatArray, shares: FloatArray) -> BalancedGains:
    """Judge several labels; one is present where its output is above its share.

    ``truth``, shape (n, k): 0, 1, or NaN where nobody knows. A label that all images have, or
    none, tells nothing and counts for nothing.
    """
    present, absent = truth == 1.0, truth == 0.0
    right = ((outputs > shares) == present).astype(np.float64)
    n_present, n_absent = present.sum(axis=0), absent.sum(axis=0)
    both = (n_present > 0) & (n_absent > 0)
    weights = present / np.maximum(n_present, 1) + absent / np.maximum(n_absent, 1)
    return BalancedGains("balanced_accuracy", right, weights * both, 0.5)


def gains_of_numbers(outputs: FloatArray, truth: FloatArray) -> BalancedGains:
    """Judge numbers: the share of the variance of every column that is explained.

    ``truth``, shape (n, k): NaN where nobody knows.
    """
    known: BoolArray = ~np.isnan(truth)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, truth, 0.0)
    mean = filled.sum(axis=0) / count
    variance = np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0) / count
    gains = np.where(known, 1.0 - (filled - outputs) ** 2 / np.maximum(variance, _TINY), 0.0)
    return BalancedGains("r2", gains, known / count * (variance > 0.0), 0.0)
