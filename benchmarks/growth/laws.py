"""Straight lines and powers through a few measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def line(sizes: Sequence[int], values: Sequence[float]) -> dict[str, float]:
    """Least squares ``value = intercept + slope * size``, each size counting by its share.

    Residuals are taken relative to the values, so that small sizes count as much as large ones;
    so is ``r_squared``'s complement, while ``largest_residual`` is a share of the value.
    """
    n, v = np.asarray(sizes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    weighted = np.stack([1.0 / v, n / v], axis=1)
    (intercept, slope), *_ = np.linalg.lstsq(weighted, np.ones(len(v)), rcond=None)
    fitted = intercept + slope * n
    spread = float(((v - v.mean()) ** 2).sum())
    return {
        "slope": float(slope),
        "intercept": float(intercept),
        "r_squared": 1.0 - float(((v - fitted) ** 2).sum()) / spread if spread else 1.0,
        "largest_residual": float(np.abs(fitted / v - 1.0).max()),
    }


def exponents(sizes: Sequence[int], values: Sequence[float]) -> list[float]:
    """Between neighbouring sizes, the power of the size that the value grows with."""
    return [
        math.log(max(b, 1e-9) / max(a, 1e-9)) / math.log(large / small)
        for (small, large), (a, b) in zip(pairwise(sizes), pairwise(values), strict=True)
    ]
