"""Calibration error of each label, beside what exactly right probabilities show by chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.labels.sets import Array
from frostline.stats.reliability import calibration_error, reliability
from frostline.stats.sigmoids import fit_sigmoids, sigmoid

_DRAWS, _REFITS = 1000, 10
_LEVEL = 0.95


def calibration(probabilities: Array, truth: Array, seed: int) -> dict[str, Any]:
    """Return errors of all labels, and how many lie above 95 % of what chance shows.

    One in twenty does for exactly right probabilities; ``above_most``: the most labels above that
    these would show, in 95 of 100 sets of so many labels.
    """
    rng = np.random.default_rng(seed)
    errors, limits = _errors(probabilities, truth), _limits(probabilities, rng)
    above = int(np.sum(errors > limits))
    return {
        "ece": float(np.mean(errors)),
        "limit": float(np.mean(limits)),
        "labels": len(errors),
        "above": above,
        "above_most": _most(len(errors)),
    }


def refitted(left_out: Array, probabilities: Array, seed: int) -> dict[str, int]:
    """Take the probabilities of images that teach, and that judge, for exactly right ones.

    Draw labels by them, fit a scale and a bias of each label to those of the images that teach, and
    count how many labels of the others lie above what chance shows. Of ten draws.
    """
    rng = np.random.default_rng(seed)
    limits, above, n = _limits(probabilities, rng), 0, 0
    logits = [np.log(p / (1.0 - p)) for p in (left_out, probabilities)]
    for _ in range(_REFITS):
        taught = (rng.random(left_out.shape) < left_out).astype(np.float64)
        told = sigmoid(fit_sigmoids(logits[0], taught).apply(logits[1]))
        truth = (rng.random(told.shape) < probabilities).astype(np.float64)
        above += int((_errors(told, truth) > limits).sum())
        n += len(limits)
    return {"labels": n, "above": above}


def _errors(probabilities: Array, truth: Array) -> Array:
    each = zip(probabilities.T, truth.T, strict=True)
    return np.array([calibration_error(reliability(p, y == 1.0)) for p, y in each])


def _limits(probabilities: Array, rng: np.random.Generator) -> Array:
    """Return what 95 % of exactly right probabilities stay below, label by label."""
    found = [
        np.quantile(
            [calibration_error(reliability(p, rng.random(len(p)) < p)) for _ in range(_DRAWS)],
            _LEVEL,
        )
        for p in probabilities.T
    ]
    return np.array(found)


def _most(n: int) -> int:
    """Return the 95 % quantile of how many of n labels lie above their limits by chance."""
    rest = 0.0
    for k in range(n + 1):
        rest += math.comb(n, k) * (1.0 - _LEVEL) ** k * _LEVEL ** (n - k)
        if rest >= _LEVEL:
            return k
    return n
