"""What labelling more images is expected to bring, from images that are labelled already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.stats.intervals import mean_error
from frostline.stats.pool_head import PoolHead, Rows32, fit_pool_head

#: accuracy that is not worth labelling for
WORTH = 0.005
#: divisions into halves by the labelled images below which they are needed; the last one always is
_DIVISIONS = ((150, 6), (500, 2), (10**9, 1))


@dataclass(frozen=True)
class LastDoubling:
    """What the last doubling of the labelled images brought.

    - ``right``, shape (m,): whether each image is classified rightly by all others.
    - ``halves``, shape (m,): how often it is by the half that it is not in.
    """

    right: BoolArray
    halves: FloatArray
    groups: IntArray

    @property
    def accuracy(self) -> float:
        """The share that is right, by leave-one-out."""
        return float(self.right.mean())

    @property
    def gain(self) -> float:
        """What all images are better than half of them, in [0, 1]."""
        return max(float(np.mean(self.right - self.halves)), 0.0)

    @property
    def error(self) -> float:
        """Standard error of the gain."""
        return mean_error(self.right - self.halves, self.groups)


@dataclass(frozen=True)
class GainForecast:
    """Accuracy that labels are expected to bring, in [0, 1], and twice the standard error of it."""

    n_labels: int
    gain: float
    margin: float

    @property
    def worth_it(self) -> bool:
        """Whether half a point is to be had, as far as one standard error may tell."""
        return self.gain + self.margin / 2.0 >= WORTH


def last_doubling_of(
    head: PoolHead, labels: IntArray, n_classes: int, groups: IntArray, rng: np.random.Generator
) -> LastDoubling:
    """Classify every labelled image by all others, and by half of them.

    ``labels``, shape (m,): of the head's images. ``groups``, shape (m,): are never split apart.
    """
    rows, m = head.known, len(labels)
    hits = np.zeros(m)
    divisions = next(number for below, number in _DIVISIONS if m < below)
    for _ in range(divisions):
        half = _half(labels, groups, rng)
        for teach in (half, ~half):
            hits[~teach] += _right(rows, labels, teach, n_classes, groups)
    return LastDoubling(head.loo.argmax(axis=1) == labels, hits / divisions, groups)


def _right(
    rows: Rows32, labels: IntArray, teach: BoolArray, n_classes: int, groups: IntArray
) -> BoolArray:
    if len(np.unique(groups[teach])) < 2:
        return np.zeros(int((~teach).sum()), dtype=bool)
    fitted = fit_pool_head(rows[teach], labels[teach], n_classes, groups=groups[teach])
    found: BoolArray = fitted.outputs(rows[~teach]).argmax(axis=1) == labels[~teach]
    return found


def _half(labels: IntArray, groups: IntArray, rng: np.random.Generator) -> BoolArray:
    """Return a half of the images with half of every class, as far as whole groups allow."""
    names, first = np.unique(groups, return_index=True)
    taken = np.zeros(len(names), dtype=bool)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels[first] == label))
        odd = len(own) % 2 and rng.random() < 0.5
        taken[own[: len(own) // 2 + int(odd)]] = True
    half: BoolArray = taken[np.searchsorted(names, groups)]
    return half


def forecast_gain(past: LastDoubling, mistaken: FloatArray, everyone: float) -> GainForecast:
    """Say what labels of some images are expected to bring, in accuracy on images of a pool.

    The last doubling took a share ``r`` of the mistakes away; ``k`` doublings take ``1 - (1 -
    r)^k``, as a power law does. Of which mistakes lies between two bounds: those about the pool,
    were the images drawn from it at random, and those about the images that are chosen, which
    their labels correct. Their geometric mean is taken: chosen images are mostly about what the
    head is unsure of, and a label that confirms what is known brings nothing.

    ``mistaken``, shape (n,): how likely the head is wrong about each image to be labelled.
    ``everyone``: the same on average over the pool.
    """
    n, m = len(mistaken), len(past.right)
    if not n:
        return GainForecast(0, 0.0, 0.0)
    doublings = float(np.log2(1.0 + n / m))
    before = max(1.0 - past.accuracy + past.gain, 1.0 / (m + 1.0))
    left = 1.0 - min(past.gain / before, 1.0)
    mistakes = float(np.sqrt(mistaken.mean() * everyone))
    # what the error of the gain makes of the result, one standard error up
    further = 1.0 - min((past.gain + past.error) / before, 1.0)
    error = mistakes * (left**doublings - further**doublings)
    return GainForecast(n, mistakes * (1.0 - left**doublings), 2.0 * error)
