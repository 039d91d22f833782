"""From which probability on a label is given to an image, one threshold a class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError

#: where a class has too little to choose from
HALF = 0.5


def best_thresholds(
    probabilities: npt.ArrayLike, truth: npt.ArrayLike, *, least: int = 5
) -> FloatArray:
    """Return the threshold of each class that makes the expected F1 highest, shape (C,).

    Of calibrated probabilities this is half of that F1 (Lipton, Elkan and Naryanaswamy 2014). It
    asks for no truth, so few positives do not decide by luck: on other images of the same kind it
    scores higher than the threshold that was best on these. Raises InputError if the shapes differ.

    Parameters
    ----------
    probabilities : array of shape (n, C)
        Calibrated, of images that did not teach; in [0, 1].
    truth : array of shape (n, C)
        1 and 0; NaN where it is not known.
    least : int, default=5
        Positives, and negatives, without which a class has 0.5.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if p.ndim != 2 or p.shape != y.shape:
        raise InputError(f"There are probabilities of shape {p.shape} but truth of {y.shape}.")
    rarer = np.minimum((y == 1).sum(axis=0), (y == 0).sum(axis=0))
    found = np.full(p.shape[1], HALF)
    for c in np.flatnonzero(rarer >= max(1, least)):
        ranked = np.sort(p[:, c])[::-1]
        expected_hits = np.cumsum(ranked)
        both = np.arange(1, len(ranked) + 1) + expected_hits[-1]
        found[c] = float((expected_hits / both).max())
    return found
