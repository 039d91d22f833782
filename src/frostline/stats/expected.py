"""What the delivered model should reach, when only models of fewer images could be judged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from frostline.core.errors import InputError
from frostline.stats.intervals import wilson

_Z95 = 1.959963984540054
#: standard error of the correction, as a share of it: the learning curve is read off two points
_DOUBT = 0.5
#: folds teach and judge with the same images, so their errors are correlated and an interval that
#: counts images is too narrow (Bates, Hastie and Tibshirani 2023, arXiv 2104.00673); by so much in
#: ``python -m benchmarks.honesty``
_CORRELATED = 1.2


@dataclass(frozen=True)
class Expected:
    """Accuracy that new images of the same kind should meet, in [0, 1].

    ``gain`` is what learning from all images adds to what was measured.
    """

    accuracy: float
    interval: tuple[float, float]
    gain: float


def expected_accuracy(
    right: int, n: int, *, share: float = 1.0, slope: float = 0.0, count: float | None = None
) -> Expected:
    """Correct a cross-validated accuracy for the images that its models had to do without.

    Accuracy grows about evenly with the logarithm of the number of images, so the way from
    ``share`` of them to all is ``slope * log2(1 / share)``. The interval is that of Wilson (1927)
    around the measured accuracy, moved by the correction; for cross-validation it is 1.2 times as
    wide, and half of the correction is added to its standard error. Raises InputError if a number
    is out of range.

    ``right``: images that models which had not seen them classified rightly. ``share``: share of
    the images that those models learned from; 1 for a held-out part. ``slope``: accuracy that the
    last doubling of the images brought. One that is negative is noise. ``count``: independent
    images that these are worth, as some belong together; ``n`` for None.
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"The share of the images must lie above 0 and at most at 1, not {share}.")
    measured = right / n
    worth = float(n) if count is None else count
    low, high = wilson(measured * worth, worth)
    if share == 1.0:
        return Expected(measured, (low, high), 0.0)
    gain = min(max(slope, 0.0) * math.log2(1.0 / share), 1.0 - measured)
    doubt = _Z95 * _DOUBT * gain
    accuracy = measured + gain
    below = math.hypot(_CORRELATED * (measured - low), doubt)
    above = math.hypot(_CORRELATED * (high - measured), doubt)
    return Expected(accuracy, (max(0.0, accuracy - below), min(1.0, accuracy + above)), gain)
