"""How often predictions of each confidence are right."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.core.score_record import Bin
from frostline.stats.intervals import wilson

#: bins of equal mass, as in the expected calibration error
BINS = 15


def reliability(confidence: npt.ArrayLike, right: npt.ArrayLike, *, bins: int = BINS) -> list[Bin]:
    """Sort predictions into bins of equal mass by their confidence, the least sure first.

    Equal confidences share a bin, so there may be fewer bins than asked for, and the order of the
    images does not matter. Raises InputError if there is no prediction, the shapes differ or a
    number is out of range.

    ``confidence``, shape (n,): probability of the predicted class, in [0, 1]. ``right``, shape
    (n,): whether the predicted class is the true one.
    """
    p = np.asarray(confidence, dtype=np.float64)
    hit = np.asarray(right).astype(bool)
    if p.ndim != 1 or p.shape != hit.shape or not len(p):
        raise InputError(
            f"Expected one confidence and one correctness for at least one image, not shapes "
            f"{p.shape} and {hit.shape}."
        )
    place = _places(p, bins)
    return [_bin(p[place == i], hit[place == i]) for i in np.unique(place)]


def calibration_error(found: list[Bin]) -> float:
    """Return the mean gap between confidence and accuracy, every prediction counting alike."""
    gaps = (one.n * abs(one.confidence - one.accuracy) for one in found)
    return math.fsum(gaps) / sum(one.n for one in found)


def chance_calibration_error(confidence: npt.ArrayLike, *, bins: int = BINS) -> float:
    """Return the calibration error to expect of confidences that are exactly right.

    Whether an image is classified rightly is chance, so the accuracy of a bin scatters around its
    confidence: by a binomial law, whose mean absolute deviation is that of a normal law of the same
    variance. A measured error of about this size shows no fault; only more images could. Raises
    InputError if there is no prediction or a number is out of range.

    ``confidence``, shape (n,): probability of the predicted class, in [0, 1].
    """
    p = np.asarray(confidence, dtype=np.float64)
    places = _places(p, bins)
    variances = np.bincount(places, weights=p * (1.0 - p))
    return float(np.sqrt(2.0 / math.pi * np.maximum(variances, 0.0)).sum()) / len(p)


def _places(p: FloatArray, bins: int) -> IntArray:
    """Return the number of the bin of each confidence, after checking them."""
    if p.ndim != 1 or not len(p):
        raise InputError(f"Expected one confidence for each image, not shape {p.shape}.")
    if bins < 1:
        raise InputError(f"The number of bins must be at least 1, not {bins}.")
    if not (np.all(np.isfinite(p)) and p.min() >= 0 and p.max() <= 1 + 1e-9):
        raise InputError("Confidences must lie between 0 and 1.")
    n_bins = min(bins, len(p))
    edges = np.unique(np.sort(p)[np.arange(1, n_bins) * len(p) // n_bins])
    return np.searchsorted(edges, p, side="right").astype(np.int64)


def _bin(p: FloatArray, hit: BoolArray) -> Bin:
    k, n = int(hit.sum()), len(p)
    return Bin(
        n=n,
        low=float(p.min()),
        high=float(p.max()),
        confidence=float(p.mean()),
        accuracy=k / n,
        interval=wilson(k, n),
    )
