"""Probabilities for other shares of the classes than those of training."""

from __future__ import annotations

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError

_MOST_STEPS, _SETTLED = 1000, 1e-7


def reweighted(probabilities: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Return what probabilities become where classes have other shares, shape (n, C).

    How an image of a class looks is taken to be the same as ever; only how many there are changed
    (Saerens, Latinne and Decaestecker 2002, eq. 2.4).

    ``before``, shape (C,): the shares that the probabilities were calibrated for. ``after``, shape
    (C,): those to expect, at least one above 0. A class whose share was 0 keeps its probability of
    nothing.
    """
    ratio = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
    weighed = probabilities * ratio
    total = weighed.sum(axis=1, keepdims=True)
    # an image that only absent classes would explain: what is left are the shares themselves
    found: FloatArray = np.where(total > 0, weighed / np.where(total > 0, total, 1.0), after)
    return found


def estimated_shares(probabilities: FloatArray, before: FloatArray) -> FloatArray:
    """Return the shares of the classes among unlabelled images, shape (C,).

    The likeliest ones, by expectation and maximisation (Saerens, Latinne and Decaestecker 2002).
    Raises InputError if there is no image.

    ``probabilities``, shape (n, C): calibrated for shares ``before``, shape (C,).
    """
    if not len(probabilities):
        raise InputError("Shares of classes can only be estimated from at least one image.")
    shares = np.array(before, dtype=np.float64)
    for _ in range(_MOST_STEPS):
        found = reweighted(probabilities, before, shares).mean(axis=0)
        moved = float(np.abs(found - shares).max())
        shares = found
        if moved < _SETTLED:
            break
    return shares
