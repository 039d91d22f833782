"""Short names for arrays; shapes are said where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
#: classes (n,) of int64, or values (n, k) of float64 with NaN for what nobody knows
Truth = npt.NDArray[Any]
