"""Calibration error of each label, beside what exactly right probabilities show by chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.labels.sets import Array
from frostline.stats.reliability import calibration_error, reliability

_DRAWS = 1000
_LEVEL = 0.95


def calibration(probabilities: Array, truth: Array, seed: int) -> dict[str, Any]:
    """Return errors of all labels, and how many lie above 95 % of what chance shows.

    One in twenty does for exactly right probabilities; ``above_most``: the most labels above that
    these would show, in 95 of 100 sets of so many labels.
    """
    rng = np.random.default_rng(seed)
    errors, limits = [], []
    for p, y in zip(probabilities.T, truth.T, strict=True):
        errors.append(calibration_error(reliability(p, y == 1.0)))
        drawn = [calibration_error(reliability(p, rng.random(len(p)) < p)) for _ in range(_DRAWS)]
        limits.append(float(np.quantile(drawn, _LEVEL)))
    above = int(np.sum(np.array(errors) > np.array(limits)))
    return {
        "ece": float(np.mean(errors)),
        "limit": float(np.mean(limits)),
        "labels": len(errors),
        "above": above,
        "above_most": _most(len(errors)),
    }


def _most(n: int) -> int:
    """Return the 95 % quantile of how many of n labels lie above their limits by chance."""
    rest = 0.0
    for k in range(n + 1):
        rest += math.comb(n, k) * (1.0 - _LEVEL) ** k * _LEVEL ** (n - k)
        if rest >= _LEVEL:
            return k
    return n
