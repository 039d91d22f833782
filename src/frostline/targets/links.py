"""What turns outputs of a network into predictions, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.stats.calibration import softmax
from frostline.stats.sigmoids import sigmoid

Link = Literal["softmax", "sigmoid", "identity"]


def identity(outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Return outputs as they are: numbers have no temperature."""
    return np.asarray(outputs, dtype=np.float64)


LINKS: dict[Link, Callable[[npt.ArrayLike, float], FloatArray]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "identity": identity,
}


def averaged(
    link: Link, predictions: Sequence[FloatArray], weights: Sequence[float] | None = None
) -> FloatArray:
    """Return outputs (n, k) whose predictions are the mean of several, or that by weight."""
    mean = np.average(np.stack(predictions), axis=0, weights=weights)
    if link == "identity":
        return np.asarray(mean, dtype=np.float64)
    tiny = np.finfo(np.float64).tiny
    found = np.log(np.maximum(mean, tiny))
    if link == "sigmoid":
        found = found - np.log(np.maximum(1.0 - mean, tiny))
    return np.asarray(found, dtype=np.float64)
