"""What turns outputs of a network into predictions, by name."""

from __future__ import annotations

from collections.abc import Callable
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
