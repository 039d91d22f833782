"""Probabilities from logits, and the temperature that makes them honest."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.inputs import check_labels

#: temperatures that may be chosen; outputs of ridge lie between 0 and 1 and need small ones
TEMPERATURES: tuple[float, float] = (1e-3, 1e2)
_CHUNK_ROWS = 8192


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


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Choose the temperature whose probabilities suit held-out labels best (Guo et al. 2017).

    The log-likelihood is convex in the inverse temperature, so one bounded search over the
    logarithm finds the optimum. Labels are softened by the share that a virtual further image would
    have (Platt 1999): where every image is right, the bare likelihood would ask for boundless
    confidence however few images there are. If that would make the bare likelihood worse than no
    change, 1 is returned. Raises InputError if there is no image, or shapes or values are wrong.

    ``logits``, shape (n, C): outputs for images that the model was not fitted on (leave-one-out or
    held-out). ``labels``, shape (n,): in [0, C).
    """
    # prediction needs softmax only and should not pay for this import
    from scipy.optimize import minimize_scalar

    values, targets = _checked(logits, labels)
    n, n_classes = values.shape
    if n_classes == 1:
        return 1.0
    highest = values.max(axis=1)
    chosen = values[np.arange(n), targets] - highest
    softness = 1.0 / (n + 2.0)
    # a chunk at a time: the logits of a million images need no second copy
    chunks = [slice(start, start + _CHUNK_ROWS) for start in range(0, n, _CHUNK_ROWS)]
    totals = np.concatenate([(values[c] - highest[c, None]).sum(axis=1) for c in chunks])
    others = (totals - chosen) / (n_classes - 1)
    wanted = (1.0 - softness) * chosen + softness * others

    def cost(log_temperature: float, target: FloatArray) -> float:
        temperature = math.exp(log_temperature)
        normaliser = np.empty(n)
        for rows in chunks:
            centred = (values[rows] - highest[rows, None]) / temperature
            normaliser[rows] = np.log(np.exp(centred, out=centred).sum(axis=1))
        return float(np.mean(normaliser - target / temperature))

    low, high = TEMPERATURES
    found = minimize_scalar(
        cost,
        args=(wanted,),
        bounds=(math.log(low), math.log(high)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    if cost(float(found.x), chosen) > cost(0.0, chosen):
        return 1.0
    return min(max(math.exp(float(found.x)), low), high)


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
