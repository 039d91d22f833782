"""Probabilities of several labels, each by its own sigmoid, and what makes them honest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, Truth
from frostline.stats.calibration import TEMPERATURES, inverse_temperature

#: cells of a table that are looked at at a time
_CELLS = 2_000_000
_MOST_STEPS, _SURE, _HALVINGS = 50, 1e-10, 20
#: a share of the penalty of one image on a squared slope: where the labels are constant nothing
#: else bounds it
_SHRINK = 1e-3


@dataclass(frozen=True)
class Rescaling:
    """One scale and one bias for each output, which become part of the head.

    ``scale`` and ``bias``: shape (k,).
    """

    scale: FloatArray
    bias: FloatArray

    def apply(self, outputs: npt.ArrayLike) -> FloatArray:
        """Return outputs (n, k), each times its scale and plus its bias."""
        found: FloatArray = np.asarray(outputs, dtype=np.float64) * self.scale + self.bias
        return found


def sigmoid(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Return ``1 / (1 + exp(-logits / temperature))``, safe for any finite logits."""
    half: FloatArray = np.tanh(np.asarray(logits, dtype=np.float64) / (2.0 * temperature))
    found: FloatArray = 0.5 * (1.0 + half)
    return found


def log_likelihoods(probabilities: FloatArray, truth: Truth, *, tiny: float) -> FloatArray:
    """Return the logarithm of what the truth was given, shape (n, k); NaN where it is unknown.

    ``probabilities`` are kept ``tiny`` from 0 and 1. ``truth``: 0, 1 or NaN.
    """
    p = np.clip(probabilities, tiny, 1.0 - tiny)
    found: FloatArray = np.log(np.where(truth > 0.5, p, 1.0 - p))
    found[np.isnan(truth)] = np.nan
    return found


def known_mean(values: FloatArray) -> FloatArray:
    """Return the mean of what is known of each row of (n, k), shape (n,); 0 where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    found: FloatArray = total / np.maximum(known.sum(axis=1), 1)
    return found


def fit_sigmoids(
    outputs: npt.ArrayLike, truth: Truth, *, weights: FloatArray | None = None
) -> Rescaling:
    """Fit a scale and a bias for each output by the likelihood of its labels (Platt 1999).

    Labels are softened as Platt does: ``(N+ + 1) / (N+ + 2)`` stands for 1 and ``1 / (N- + 2)``
    for 0, so that a label that everybody or nobody has gets a probability near 1 or 0, and no
    scale is boundless. A scale is never negative: outputs for images that are left out run against
    the labels where they tell nothing.

    Parameters
    ----------
    outputs : array of shape (n, k)
        For images that the fit behind them did not see.
    truth : array of shape (n, k)
        0, 1, or NaN where a label is unknown.
    weights : array of shape (n,) or None, default=None
        Of the images, positive.
    """
    values = np.asarray(outputs, dtype=np.float64)
    n, k = values.shape
    each = np.ones(n) if weights is None else weights * (n / weights.sum())
    scale, bias = np.zeros(k), np.zeros(k)
    step = max(1, _CELLS // max(1, n))
    for start in range(0, k, step):
        part = slice(start, start + step)
        scale[part], bias[part] = _fit(values[:, part], truth[:, part], each)
    return Rescaling(scale, bias)


def _fit(values: FloatArray, truth: Truth, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    known = ~np.isnan(truth)
    share = known * weights[:, None]
    total = np.maximum(share.sum(axis=0), 1e-300)
    wanted, prior = _softened(truth, share)
    # outputs of each label with mean 0 and spread 1, so that one step suits all
    mean = (share * values).sum(axis=0) / total
    spread = np.sqrt((share * (values - mean) ** 2).sum(axis=0) / total)
    tells = spread > 1e-12 * np.maximum(np.abs(mean), 1.0)
    x = np.where(tells, (values - mean) / np.where(tells, spread, 1.0), 0.0)
    share = share / total
    shrink = _SHRINK / np.maximum(known.sum(axis=0), 1)

    def loss(a: FloatArray, b: FloatArray) -> FloatArray:
        z = a * x + b
        each = np.logaddexp(0.0, z) - wanted * z
        found: FloatArray = (share * each).sum(axis=0) + shrink * a**2
        return found

    a, b = np.zeros(values.shape[1]), np.log(prior / (1.0 - prior))
    now = loss(a, b)
    for _ in range(_MOST_STEPS):
        p = sigmoid(a * x + b)
        residual, curvature = share * (p - wanted), share * p * (1.0 - p)
        slope_a = (residual * x).sum(axis=0) + 2.0 * shrink * a
        slope_b = residual.sum(axis=0)
        h_aa = (curvature * x * x).sum(axis=0) + 2.0 * shrink
        h_ab, h_bb = (curvature * x).sum(axis=0), curvature.sum(axis=0) + 1e-300
        determinant = np.maximum(h_aa * h_bb - h_ab**2, 1e-300)
        step_a = -(h_bb * slope_a - h_ab * slope_b) / determinant
        step_b = -(h_aa * slope_b - h_ab * slope_a) / determinant
        length = np.ones_like(a)
        after = loss(a + step_a, b + step_b)
        for _ in range(_HALVINGS):
            worse = ~(after <= now)
            if not worse.any():
                break
            length[worse] *= 0.5
            after = loss(a + length * step_a, b + length * step_b)
        moves = after < now
        a, b = a + moves * length * step_a, b + moves * length * step_b
        gained = now - np.where(moves, after, now)
        now = now - gained
        if gained.max(initial=0.0) <= _SURE:
            break
    nothing = (a <= 0.0) | ~tells
    a = np.where(nothing, 0.0, a / np.where(tells, spread, 1.0))
    b = np.where(nothing, np.log(prior / (1.0 - prior)), b - a * mean)
    return a, b


def _softened(truth: Truth, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what is wanted of each cell, and of each label on the whole."""
    has, lacks = (share * (truth == 1.0)).sum(axis=0), (share * (truth == 0.0)).sum(axis=0)
    high, low = (has + 1.0) / (has + 2.0), 1.0 / (lacks + 2.0)
    wanted = np.where(truth > 0.5, high, low)
    return wanted, (has * high + lacks * low + 1e-9) / (has + lacks + 2e-9)


def fit_temperature_of_sigmoids(
    logits: npt.ArrayLike, truth: Truth, *, weights: FloatArray | None = None
) -> float:
    """Choose the one temperature for all labels that suits held-out images best.

    ``logits``, shape (n, k). ``truth``, shape (n, k): 0, 1, or NaN where a label is unknown.
    ``weights``, shape (n,): positive, of the images. 1 where nothing is known.
    """
    values = np.asarray(logits, dtype=np.float64)
    n = len(values)
    each = np.ones(n) if weights is None else weights * (n / weights.sum())
    share = ~np.isnan(truth) * each[:, None]
    if not share.any():
        return 1.0
    wanted, _ = _softened(truth, share)
    share = share / share.sum()

    def moments(inverse: float) -> tuple[float, float]:
        p = sigmoid(values * inverse)
        return float(np.sum(share * p * values)), float(np.sum(share * p * (1.0 - p) * values**2))

    inverse = inverse_temperature(moments, float(np.sum(share * wanted * values)))
    low, high = TEMPERATURES
    return min(max(1.0 / inverse, low), high)
