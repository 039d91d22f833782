"""Turn logits into probabilities that mean what they say (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: ridge outputs are small numbers, so sensible temperatures may be small as well
_RANGE = (1e-3, 1e2)


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Return softmax of ``logits / temperature`` along the last axis, without overflow.

    Parameters
    ----------
    logits : array of shape (..., C)
    temperature : float > 0, default=1.0
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if scaled.size == 0:
        return scaled
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)


def mean_nll(logits: npt.ArrayLike, labels: npt.ArrayLike, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of ``labels`` in nats."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    truth = np.asarray(labels, dtype=np.int64)
    top = scaled.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
    return float(np.mean(total - scaled[np.arange(len(truth)), truth]))


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the temperature in [0.001, 100] that makes ``labels`` likeliest.

    Parameters
    ----------
    logits : array of shape (n, C)
        For images that did not teach the weights behind them.
    labels : int array of shape (n,)

    Returns
    -------
    float
        1.0 for no images.
    """
    from scipy.optimize import minimize_scalar

    if len(np.asarray(labels)) == 0:
        return 1.0
    # the likelihood has one minimum in 1 / T, hence also in log T
    found = minimize_scalar(
        lambda log_t: mean_nll(logits, labels, float(np.exp(log_t))),
        bounds=(float(np.log(_RANGE[0])), float(np.log(_RANGE[1]))),
        method="bounded",
        options={"xatol": 1e-4},
    )
    best = float(np.exp(found.x))
    return best if mean_nll(logits, labels, best) < mean_nll(logits, labels) else 1.0
