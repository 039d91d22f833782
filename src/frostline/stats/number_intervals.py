"""How far from a predicted number the true one may be, by how far off left-out images were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.errors import InputError
from frostline.stats.conformal import Scoring, TooFewCases, conformal_threshold

#: share of new images whose interval should hold the true number
NUMBER_LEVEL = 0.9


@dataclass(frozen=True)
class NumberIntervals:
    """An interval around every predicted number that holds the true one as often as it says.

    Attributes
    ----------
    radii : tuple of float or TooFewCases
        One a column, in its unit: the interval reaches so far to both sides. A number is exact in
        single precision, so that every engine finds the same intervals.
    scoring : {"split", "cross"}
        ``split``: images that no fit has learned from were predicted by the model itself.
        ``cross``: each by a fit without it.
    n_images, n_groups : tuple of int
        What each radius rests on.
    level : float, default=0.9
        Share of new images whose interval should hold the true number.
    """

    radii: tuple[float | TooFewCases, ...]
    scoring: Scoring
    n_images: tuple[int, ...]
    n_groups: tuple[int, ...]
    level: float = NUMBER_LEVEL

    def __post_init__(self) -> None:
        known = [radius for radius in self.radii if not isinstance(radius, TooFewCases)]
        if not np.all(np.isfinite(known)) or min(known, default=0.0) < 0.0:
            raise InputError("Intervals reach a finite distance of at least 0 to both sides.")
        if not len(self.radii) == len(self.n_images) == len(self.n_groups):
            raise InputError("Intervals need one radius and two counts for every column.")

    @property
    def n_outputs(self) -> int:
        """Number of columns."""
        return len(self.radii)

    @property
    def reach(self) -> FloatArray:
        """The radii, shape (k,); NaN where there were too few cases."""
        return np.array([np.nan if isinstance(r, TooFewCases) else r for r in self.radii])

    def of(self, values: FloatArray) -> FloatArray:
        """Return lower and upper ends for numbers (n, k), shape (n, k, 2); NaN where unknown."""
        return np.stack([values - self.reach, values + self.reach], axis=-1)


def fit_intervals(
    prediction: FloatArray,
    truth: Truth,
    groups: IntArray,
    *,
    scoring: Scoring,
    level: float = NUMBER_LEVEL,
) -> NumberIntervals:
    """Find how far intervals must reach to hold the truth of new images as often as ``level``.

    The score of an image is its absolute residual; those of leave-one-out fits give the jackknife
    of Barber, Candès, Ramdas and Tibshirani (2021, "Predictive inference with the jackknife+"),
    where the fits of single images hardly differ. Unknown numbers are left out, column by column.

    ``prediction`` and ``truth``, shape (n, k), and ``groups``, shape (n,): of images that did not
    teach what predicted them. A column with fewer groups than the level needs has TooFewCases.
    """
    radii: list[float | TooFewCases] = []
    counts = []
    for column in range(prediction.shape[1]):
        known = ~np.isnan(truth[:, column])
        residuals = np.abs(truth[known, column] - prediction[known, column])
        found = conformal_threshold(residuals, groups[known], level=level)
        radii.append(found if isinstance(found, TooFewCases) else _single_precision(found))
        counts.append((len(residuals), len(np.unique(groups[known]))))
    return NumberIntervals(
        radii=tuple(radii),
        scoring=scoring,
        n_images=tuple(n for n, _ in counts),
        n_groups=tuple(n for _, n in counts),
        level=level,
    )


def _single_precision(radius: float) -> float:
    """Return the smallest number of single precision that is not below a radius."""
    rounded = np.float32(radius)
    if float(rounded) < radius:
        rounded = np.nextafter(rounded, np.float32(np.inf))
    return float(rounded)
