"""Predictions for images by classifiers that were not trained on them."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class OutOfFold:
    """Probabilities for images that the classifier behind them was not trained on.

    Attributes
    ----------
    rows : int64 ndarray of shape (n,)
        Catalog rows.
    probabilities : ndarray of shape (n, C)
        Held-out, out-of-fold or leave-one-out, and calibrated.
    """

    rows: IntArray
    probabilities: FloatArray
