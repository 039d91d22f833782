"""Probabilities from logits, and the temperature that makes them honest."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.inputs import check_labels

#: temperatures that may be chosen; outputs of ridge lie between 0 and 1 and need small ones
TEMPERATURES: tuple[float, float] = (1e-3, 1e2)
_CHUNK_ROWS = 8192
#: share of itself up to which the temperature is found, and steps until then at most
_SURE, _MOST_STEPS = 1e-9, 100


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Return ``softmax(logits / temperature)`` over the last axis, safe for any finite logits.

    Raises InputError if the temperature is not a positive number.

    ``logits``: shape (..., C). The result: every row sums to 1.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise InputError(f"The temperature must be a positive number, not {temperature}.")
    values = np.asarray(logits, dtype=np.float64)
    if not values.size:
        return values
    # the difference first: dividing large logits by a small temperature could overflow
    powers = np.exp((values - values.max(axis=-1, keepdims=True)) / temperature)
    probabilities: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def fit_temperature(
    logits: npt.ArrayLike, labels: npt.ArrayLike, *, weights: FloatArray | None = None
) -> float:
    """Choose the temperature whose probabilities suit held-out labels best (Guo et al. 2017).

    The log-likelihood is convex in the inverse temperature, so Newton's steps, bisected where they
    leave what is still possible, find the optimum. Labels are softened by the share that a virtual
    further image would have (Platt 1999): where every image is right, the bare likelihood would ask
    for boundless confidence however few images there are. If that would make the bare likelihood
    worse than no change, 1 is returned. Raises InputError if there is no image, or shapes or values
    are wrong.

    ``logits``, shape (n, C): outputs for images that the model was not fitted on (leave-one-out or
    held-out). ``labels``, shape (n,): in [0, C). ``weights``, shape (n,): positive, of the images;
    None counts all alike.
    """
    values, targets = _checked(logits, labels)
    n, n_classes = values.shape
    if n_classes == 1:
        return 1.0
    highest = values.max(axis=1)
    chosen = values[np.arange(n), targets] - highest
    softness = softness_of(n)
    # a chunk at a time: the logits of a million images need no second copy
    chunks = [slice(start, start + _CHUNK_ROWS) for start in range(0, n, _CHUNK_ROWS)]
    totals = np.concatenate([(values[c] - highest[c, None]).sum(axis=1) for c in chunks])
    others = (totals - chosen) / (n_classes - 1)
    wanted = (1.0 - softness) * chosen + softness * others

    def averaged(each: FloatArray) -> float:
        return float(np.mean(each) if weights is None else np.average(each, weights=weights))

    def loss(inverse: float) -> float:
        normaliser = np.empty(n)
        for rows in chunks:
            powers = np.exp((values[rows] - highest[rows, None]) * inverse)
            normaliser[rows] = np.log(powers.sum(axis=1))
        return averaged(normaliser - chosen * inverse)

    def moments(inverse: float) -> tuple[float, float]:
        """Mean over images of the mean and variance that the logits have by the probabilities."""
        mean, variance = np.empty(n), np.empty(n)
        for rows in chunks:
            centred = values[rows] - highest[rows, None]
            powers = np.exp(centred * inverse)
            powers /= powers.sum(axis=1, keepdims=True)
            mean[rows] = np.einsum("ij,ij->i", powers, centred)
            variance[rows] = np.einsum("ij,ij,ij->i", powers, centred, centred) - mean[rows] ** 2
        return averaged(mean), averaged(variance)

    with np.errstate(over="ignore", invalid="ignore"):
        inverse = inverse_temperature(moments, averaged(wanted))
    if loss(inverse) > loss(1.0):
        return 1.0
    low, high = TEMPERATURES
    return min(max(1.0 / inverse, low), high)


def softness_of(n: int) -> float:
    """Share of a label that goes to the other classes: that of a virtual further image."""
    return 1.0 / (n + 2.0)


def soft_truth(logits: FloatArray, labels: IntArray) -> FloatArray:
    """Return the mean of logits (..., n, C) under softened labels (n,), shape (..., n)."""
    n, n_classes = logits.shape[-2:]
    softness = softness_of(n)
    chosen = logits[..., np.arange(n), labels]
    others = (logits.sum(axis=-1) - chosen) / max(1, n_classes - 1)
    wanted: FloatArray = (1.0 - softness) * chosen + softness * others
    return wanted


def inverse_temperature(moments: Callable[[float], tuple[float, float]], wanted: float) -> float:
    """Return the inverse temperature at which the mean is as wanted; it grows by the variance."""
    low, high = (1.0 / temperature for temperature in reversed(TEMPERATURES))
    inverse = 1.0
    for _ in range(_MOST_STEPS):
        mean, variance = moments(inverse)
        if mean == wanted:
            break
        if mean < wanted:
            low = inverse
        else:
            high = inverse
        step = inverse + (wanted - mean) / variance if variance > 0.0 else math.inf
        before, inverse = inverse, step if low < step < high else math.sqrt(low * high)
        if abs(inverse - before) <= _SURE * inverse:
            break
    return inverse


def _checked(logits: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    values = np.asarray(logits, dtype=np.float64)
    shape = np.shape(labels)
    if values.ndim != 2 or 0 in values.shape or shape != values.shape[:1]:
        raise InputError(
            f"Calibration needs logits (n, C) and labels (n,) for at least one image, not "
            f"shapes {values.shape} and {shape}."
        )
    if not np.all(np.isfinite(values)):
        raise InputError("Logits must be finite numbers.")
    return values, check_labels(labels, n_rows=len(values), n_classes=values.shape[1])
