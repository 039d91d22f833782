"""How much each of several forecasts counts in their average, by what they gave to the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.inputs import group_codes

#: a probability is not taken to be nearer to 0 than this: one image decides nothing
_EDGE = 1e-3
_MOST_STEPS, _STILL = 1000, 1e-7


def mixture_weights(
    p_true: npt.ArrayLike,
    prior: npt.ArrayLike,
    *,
    strength: float,
    groups: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return the weights of an average of forecasts that its log score and a prior agree on.

    They maximise the sum over groups of the mean logarithm of what the average gives to the truth,
    plus ``strength * sum(prior * log(weights))``: as many groups more, of which each forecast alone
    explains its share (a Dirichlet prior). Found by expectation and maximisation (Dempster, Laird
    and Rubin 1977), which has one maximum here. Raises InputError if shapes do not match or a
    number is out of range.

    Parameters
    ----------
    p_true : array of shape (m, n)
        Probabilities in [0, 1] that each of m forecasts gave to the true class of n images.
    prior : array of shape (m,)
        Weights before any image was seen; above 0, adding up to 1.
    strength : float, at least 0
        How many groups of images the prior is worth.
    groups : array of shape (n,) or None
        Images of one group succeed and fail together: they count as one.

    Returns
    -------
    float array of shape (m,)
        At least 0, adding up to 1; the prior where there is no image.
    """
    given, before = np.asarray(p_true, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    if given.ndim != 2 or before.shape != given.shape[:1] or not len(before):
        raise InputError(f"Expected (m, n) forecasts and m weights, not {given.shape}.")
    if not (before > 0).all() or abs(before.sum() - 1.0) > 1e-6 or not strength >= 0:
        raise InputError("A prior needs weights above 0 that add up to 1, and a strength.")
    n = given.shape[1]
    codes = group_codes(groups, n_rows=n)
    worth = 1.0 / np.bincount(codes)[codes] if n else np.zeros(0)
    seen = np.maximum(given, _EDGE)
    weights = before.copy()
    for _ in range(_MOST_STEPS if n else 0):
        parts = weights[:, None] * seen
        explained = (parts / parts.sum(axis=0)) @ worth + strength * before
        new = explained / explained.sum()
        moved = float(np.abs(new - weights).max())
        weights = new
        if moved < _STILL:
            break
    return weights


def log_score(p_true: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> float:
    """Return the mean logarithm of probabilities of the truth, every group counting as one image.

    ``p_true``, shape (n,). ``groups``, shape (n,), or None: every image is one.
    """
    logs = np.log(np.maximum(np.asarray(p_true, dtype=np.float64), _EDGE))
    codes = group_codes(groups, n_rows=len(logs))
    return float(np.average(logs, weights=1.0 / np.bincount(codes)[codes]))
