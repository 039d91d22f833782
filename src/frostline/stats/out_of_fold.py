"""Predictions for images by classifiers that were not trained on them."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class OutOfFold:
    """Probabilities for images that the classifier behind them was not trained on.

    ``rows``, shape (n,): catalog rows. ``probabilities``, shape (n, C): held-out, out-of-fold or
    leave-one-out, and calibrated. ``answers``, shape (n,): classes that were answered, None where
    those are the likeliest.
    """

    rows: IntArray
    probabilities: FloatArray
    answers: IntArray | None = None
