"""Every score of predicted numbers, in one column or several, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.score_intervals import (
    NOWHERE,
    Interval,
    below_one_interval,
    group_numbers,
    mean_interval,
    plain,
)

#: images of which the true and the predicted number are kept
_POINTS = 400


@dataclass(frozen=True)
class ColumnScores:
    """Scores of one column of numbers, in its own unit; NaN where undefined.

    Attributes
    ----------
    n : int
        Images whose number is known.
    r2 : float
        Share of the variance that is explained, 1 at best; NaN where the truth does not vary.
    mae, rmse : float
        Mean distance of the prediction from the truth, and root of the mean squared one.
    points : tuple of (true, predicted)
        Some of the images, evenly from the lowest to the highest truth.
    """

    n: int
    r2: float
    r2_interval: Interval
    mae: float
    mae_interval: Interval
    rmse: float
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class RegressionScores:
    """Scores of numbers against the truth; over several columns, plain means of theirs.

    Columns whose truth does not vary are in no mean of ``r2``. Intervals are of 95 %.
    """

    n: int
    r2: float
    r2_interval: Interval
    mae: float
    mae_interval: Interval
    per_column: tuple[ColumnScores, ...]

    def to_json(self, columns: Sequence[str]) -> dict[str, Any]:
        """Return plain JSON types, columns by name, None where a score is undefined.

        Raises InputError if the number of names is not the number of columns.
        """
        if len(columns) != len(self.per_column):
            raise InputError(f"There are {len(self.per_column)} columns but {len(columns)} names.")
        rows = zip(columns, self.per_column, strict=True)
        return {
            **{name: plain(value) for name, value in vars(self).items() if name != "per_column"},
            "per_column": [
                {"column": name, **{key: plain(value) for key, value in vars(one).items()}}
                for name, one in rows
            ],
        }


def score_numbers(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, *, groups: npt.ArrayLike | None = None
) -> RegressionScores:
    """Score predicted numbers, column by column and together.

    Raises InputError if there is no image, the shapes differ, a prediction is not finite, or a
    true number is infinite.

    Parameters
    ----------
    predicted, truth : array of shape (n,) or (n, k)
        ``truth`` is NaN where it is not known.
    groups : int array of shape (n,) or None, default=None
        Images of one group are off together, so they count for less.
    """
    p, y = _checked(predicted, truth)
    n, codes = len(p), group_numbers(groups, len(p))
    each = []
    r2, mae = _Mean(n), _Mean(n)
    for c, rows in enumerate(~np.isnan(y).T):
        error, true = p[rows, c] - y[rows, c], y[rows, c]
        explained, off = _explained(error, true), _off(error)
        scores = _one_column(error, explained, off, codes[rows])
        each.append(replace(scores, points=_some(true, p[rows, c])))
        r2.add(*explained, rows)
        mae.add(*off, rows)
    return RegressionScores(
        n,
        r2.score,
        below_one_interval(r2.contributions, codes) if r2.n_columns else NOWHERE,
        mae.score,
        mean_interval(mae.contributions, codes) if mae.n_columns else NOWHERE,
        tuple(each),
    )


class _Mean:
    """The mean of a score over those columns that have it, and what every image contributes."""

    def __init__(self, n: int) -> None:
        self.n_columns = 0
        self._total, self._pull = 0.0, np.zeros(n)

    def add(self, score: float, pull: FloatArray, rows: BoolArray) -> None:
        """Take in the score of one column, with the influences of some rows on it."""
        if not math.isnan(score):
            self.n_columns += 1
            self._total += score
            self._pull[rows] += pull

    @property
    def score(self) -> float:
        return self._total / self.n_columns if self.n_columns else math.nan

    @property
    def contributions(self) -> FloatArray:
        """Shape (n,); their mean is the score."""
        found: FloatArray = self.score + len(self._pull) * self._pull / self.n_columns
        return found


def _one_column(
    error: FloatArray,
    explained: tuple[float, FloatArray],
    off: tuple[float, FloatArray],
    codes: IntArray,
) -> ColumnScores:
    n = len(error)
    if not n:
        return ColumnScores(0, math.nan, NOWHERE, math.nan, NOWHERE, math.nan)
    r2, pull = explained
    return ColumnScores(
        n,
        r2,
        NOWHERE if math.isnan(r2) else below_one_interval(r2 + n * pull, codes),
        off[0],
        mean_interval(off[0] + n * off[1], codes),
        math.sqrt(float((error**2).mean())),
    )


def _some(true: FloatArray, predicted: FloatArray) -> tuple[tuple[float, float], ...]:
    """Return some pairs, evenly from the lowest to the highest truth."""
    order = np.lexsort((predicted, true))
    at = np.unique(np.linspace(0, len(order) - 1, min(_POINTS, len(order))).round().astype(int))
    return tuple((float(true[i]), float(predicted[i])) for i in order[at])


def _explained(error: FloatArray, true: FloatArray) -> tuple[float, FloatArray]:
    """Return R2 and the influence of every image; NaN where the truth does not vary."""
    n = len(true)
    if n < 2 or np.all(true == true[0]):
        return math.nan, np.zeros(n)
    left, spread = error**2, (true - true.mean()) ** 2
    score = 1.0 - float(left.mean() / spread.mean())
    pull = ((1.0 - score) * (spread - spread.mean()) - (left - left.mean())) / spread.mean()
    return score, np.asarray(pull / n, dtype=np.float64)


def _off(error: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean absolute error and the influence of every image on it."""
    if not len(error):
        return math.nan, error
    off = np.abs(error)
    return float(off.mean()), (off - off.mean()) / len(off)


def _checked(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if p.shape != y.shape or p.ndim not in (1, 2) or 0 in p.shape:
        raise InputError(
            f"Cannot score predictions of shape {p.shape} on numbers of shape {y.shape}: at least "
            "one image is needed, and one number for each prediction."
        )
    if not np.isfinite(p).all():
        raise InputError("Predictions must be finite numbers.")
    if np.isinf(y).any():
        raise InputError("True numbers must be finite, or NaN where they are not known.")
    return p.reshape(len(p), -1), y.reshape(len(y), -1)
