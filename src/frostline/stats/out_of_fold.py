"""Predictions for images by classifiers that were not trained on them."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.arrays import FloatArray, IntArray, Truth


@dataclass(frozen=True)
class OutOfFold:
    """Probabilities for images that the classifier behind them was not trained on.

    ``rows``, shape (n,): catalog rows. ``probabilities``, shape (n, C): held-out, out-of-fold or
    leave-one-out, and calibrated; numbers where these are predicted. ``answers``: what was
    answered, as the target encodes it; None where that is the likeliest.
    """

    rows: IntArray
    probabilities: FloatArray
    answers: Truth | None = None
