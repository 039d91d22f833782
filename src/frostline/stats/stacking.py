"""Convex weights for the outputs of several fits, from what each says of images it did not see.

Stacking (Wolpert 1992; Breiman 1996) with weights that cannot be negative. Where the fits are
linear their weighted sum is one linear fit again, so that it costs nothing at prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.calibration import fit_temperature, soft_truth, softmax
from frostline.stats.line_search import line_search

_MOST_STEPS, _SURE, _SHORTEST = 60, 1e-10, 1e-8
#: sum of weights of calibrated outputs that says that these tell nothing
_LARGEST = 100.0
#: a weight keeps at least this share of itself in a step
_LEFT = 0.05
_MOST_VALUES = 10_000_000


@dataclass(frozen=True)
class Stack:
    """How outputs of K fits are added up.

    ``weights``, shape (K,): positive, of calibrated outputs; they sum to 1.
    ``temperatures``: shape (K,), that calibrate each fit alone.
    """

    weights: FloatArray
    temperatures: FloatArray

    @property
    def factors(self) -> FloatArray:
        """What the outputs themselves are multiplied by, shape (K,)."""
        found: FloatArray = self.weights / self.temperatures
        return found

    def apply(self, outputs: Sequence[FloatArray]) -> FloatArray:
        """Return logits (n, C) of K outputs (n, C)."""
        found = np.zeros_like(outputs[0])
        for factor, each in zip(self.factors, outputs, strict=True):
            found += factor * each
        return found


def fit_stack(
    outputs: Sequence[FloatArray],
    labels: IntArray,
    *,
    prior: FloatArray,
    weights: FloatArray | None = None,
) -> Stack:
    """Fit the weights by likelihood, drawn to a prior.

    Every fit's outputs are calibrated by a temperature of their own; the weights of the calibrated
    ones minimise ``-sum_i w_i log softmax(sum_k v_k z_k)[y_i] - sum_k a_k log v_k``. The second
    term is that of a Dirichlet prior: with few images the weights stay in the shares ``a``, and
    none becomes 0 or negative. They are then divided by their sum, as a scale is for a temperature
    to find. Labels are softened as in :func:`frostline.stats.calibration.fit_temperature`.

    - ``outputs``: K arrays of shape (n, C), for images that the fit behind them did not see.
    - ``labels``: shape (n,), in [0, C).
    - ``prior``, shape (K,): ``a``, positive, counted in images.
    - ``weights``, shape (n,): of the images, with mean 1; None counts all alike.
    """
    temperatures = np.array([fit_temperature(each, labels) for each in outputs])
    if len(outputs) == 1:
        return Stack(np.ones(1), temperatures)
    # a dozen weights need no more values than this
    step = max(1, len(outputs) * outputs[0].size // _MOST_VALUES)
    some = slice(None, None, step)
    logits = np.stack([o[some] / t for o, t in zip(outputs, temperatures, strict=True)])
    truth = labels[some]
    n = len(truth)
    share = np.full(n, 1.0 / n) if weights is None else weights[some] / weights[some].sum()
    found = _newton(logits, truth, share, prior / len(labels))
    return Stack(found / found.sum(), temperatures)


def _newton(
    logits: FloatArray, labels: IntArray, share: FloatArray, prior: FloatArray
) -> FloatArray:
    """Return the best weights of logits (K, n, C): a convex problem in K numbers."""
    wanted = soft_truth(logits, labels)

    def loss(values: FloatArray) -> float:
        together = np.tensordot(values, logits, 1)
        highest = together.max(axis=1)
        normaliser = np.log(np.exp(together - highest[:, None]).sum(axis=1)) + highest
        return float(share @ (normaliser - values @ wanted) - prior @ np.log(values))

    found: FloatArray = prior / prior.sum()
    now = loss(found)
    for _ in range(_MOST_STEPS):
        p = softmax(np.tensordot(found, logits, 1))
        weighted = logits * p
        mean = weighted.sum(axis=2)
        slope = (mean - wanted) @ share - prior / found
        flat = (weighted * share[:, None]).reshape(len(found), -1)
        curvature = flat @ logits.reshape(len(found), -1).T - (mean * share) @ mean.T
        step: FloatArray = -np.linalg.solve(curvature + np.diag(prior / found**2), slope)
        falling = step < 0
        # weights stay positive
        length = min(1.0, (1.0 - _LEFT) * np.min(found[falling] / -step[falling], initial=np.inf))
        better = line_search(loss, found, step, now=now, length=length, shortest=_SHORTEST)
        if better is None:
            break
        before = now
        found, now = better
        # outputs that tell nothing bound no scale, which is divided out in the end
        if before - now <= _SURE or found.sum() > _LARGEST:
            break
    return found
