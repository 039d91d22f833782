"""One number or several for every image; some may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.errors import InputError, SettingsError
from frostline.core.task import Task
from frostline.stats.balanced_gains import BalancedGains, gains_of_numbers
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.inputs import group_codes
from frostline.stats.intervals import mean_error
from frostline.stats.metrics import Metric
from frostline.stats.probe_accuracy import LeftOutFit, LOOAccuracy
from frostline.stats.quantile_strata import quantile_strata
from frostline.stats.regression_scores import score_numbers
from frostline.stats.score_contributions import (
    Answered,
    Contributions,
    OutputContributions,
    of_numbers,
)
from frostline.stats.sigmoids import Rescaling
from frostline.stats.stacked_values import SQUARED, Losses
from frostline.stats.target_matrix import Values
from frostline.stats.value_metrics import ExplainedVariance
from frostline.targets.comparable import in_both
from frostline.targets.links import Link, identity
from frostline.targets.protocol import Shares, Weighting
from frostline.targets.stacked_by_value import StackedByValue

#: quantiles between which splits keep the share of images
_QUANTILES = 10
#: a prediction is called right where it is nearer to the truth than so many standard deviations
_NEAR = 0.5
#: beyond it, and below one over it, squares leave what computers hold
_LARGEST = 1e30
#: between the numbers of one image, as text
BETWEEN = ";"


@dataclass(frozen=True)
class Regression(StackedByValue):
    """Numbers.

    ``n_outputs``: number of columns.
    """

    losses: ClassVar[Losses] = SQUARED

    n_outputs: int

    @property
    def task(self) -> Task:
        return "regression"

    @property
    def exclusive(self) -> bool:
        return False

    @property
    def compared(self) -> bool:
        return False

    @property
    def loss(self) -> str:
        return "squared_error"

    @property
    def link_name(self) -> Link:
        return "identity"

    def encode(self, labels: npt.ArrayLike) -> Truth:
        found = np.asarray(labels, dtype=np.float64)
        if found.ndim != 2 or found.shape[1] != self.n_outputs:
            raise InputError(
                f"Numbers must be a table of {self.n_outputs} columns, not {found.shape}."
            )
        if np.isinf(found).any():
            raise InputError("Numbers must be finite, or NaN where they are unknown.")
        large = np.abs(found) > _LARGEST
        if large.any():
            raise InputError(
                f"Numbers must lie within ±{_LARGEST:g}, not at {found[large][0]:g}: the model "
                "computes in single precision.",
                hint="Mend it if it is a mistake, or write all in a larger unit.",
            )
        return found

    def check(self, truth: Truth, names: Sequence[str], *, where: str) -> None:
        self.encode(truth)
        for column, name in enumerate(names):
            known = truth[~np.isnan(truth[:, column]), column]
            if len(known) > 1 and 0.0 < np.ptp(known) < 1.0 / _LARGEST:
                raise InputError(
                    f"Numbers of column {name!r} in {where} differ by {np.ptp(known):g} at most, "
                    "which single precision cannot tell apart.",
                    hint="Write them in a smaller unit.",
                )
            if len(known) < 2 or np.all(known == known[0]):
                raise InputError(
                    f"Column {name!r} has fewer than 2 different numbers in {where}, "
                    "so there is nothing to learn.",
                    hint="Leave it out of the target columns, or look at the table.",
                )

    def metric(self, asked: Metric | None) -> Metric:
        if asked is not None and not asked.plain and asked.name != ExplainedVariance.name:
            raise SettingsError(
                f"metric={asked.name!r} is for classes or grades, not for numbers.",
                hint="Leave it out: numbers are judged by the variance that is explained.",
            )
        return ExplainedVariance()

    def matrix(self, truth: Truth) -> Values:
        return Values(self.encode(truth), _spread(truth))

    def output_weights(self, truth: Truth, weighting: Weighting) -> FloatArray | None:
        if weighting != "none":
            raise SettingsError("class_weight='balanced' is for classes, not for numbers.")
        return None

    def row_weights(self, truth: Truth, weights: FloatArray | None) -> FloatArray | None:
        return None

    def link(self, outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
        return identity(outputs)

    def units(self, truth: Truth) -> Rescaling | None:
        known = ~np.isnan(truth)
        mean = np.where(known, truth, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return Rescaling(_spread(truth), mean)

    def calibrate(
        self, outputs: npt.ArrayLike, truth: npt.ArrayLike, weights: FloatArray | None = None
    ) -> float:
        return 1.0

    def rescaling(
        self, outputs: npt.ArrayLike, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        return None

    def contributions(
        self, outputs: FloatArray, truth: Truth, rescaling: Rescaling | None
    ) -> FloatArray | BoolArray:
        values = outputs if rescaling is None else rescaling.apply(outputs)
        return ExplainedVariance().of_values(self.link(values), truth)

    def rule(
        self, metric: Metric, prediction: FloatArray, truth: Truth, shares: Shares
    ) -> DecisionRule:
        return LIKELIEST

    def touch_up(
        self, logits: FloatArray, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        return None

    def decide(self, prediction: FloatArray, rule: DecisionRule = LIKELIEST) -> Truth:
        return prediction

    def right(self, prediction: FloatArray, truth: Truth) -> BoolArray:
        return self.agrees(prediction, truth)

    def agrees(self, decided: Truth, truth: Truth) -> BoolArray:
        near = np.abs(decided - truth) <= _NEAR * _spread(truth)
        found: BoolArray = (near | np.isnan(truth)).all(axis=1)
        return found

    def certainty(self, prediction: FloatArray, truth: Truth) -> FloatArray:
        known = ~np.isnan(truth)
        off = np.where(known, (prediction - np.where(known, truth, 0.0)) / _spread(truth), 0.0)
        mean = (off**2).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        found: FloatArray = np.exp(-0.5 * mean)
        return found

    def accuracy(self, prediction: FloatArray, truth: Truth) -> float:
        return float(ExplainedVariance().of_values(prediction, truth).mean())

    def left_out_scores(
        self, fit: LeftOutFit, truth: Truth, groups: npt.ArrayLike | None = None
    ) -> LOOAccuracy:
        gains = ExplainedVariance().of_values(fit.loo, truth)
        error = mean_error(gains, group_codes(groups, n_rows=len(gains)))
        explained = float(gains.mean())
        return LOOAccuracy(
            correct=self.right(fit.loo, truth),
            accuracy=explained,
            standard_error=error,
            balanced_accuracy=explained,
            balanced_standard_error=error,
            train_accuracy=self.accuracy(fit.fitted, truth),
        )

    def counts(self, truth: Truth) -> IntArray:
        known: IntArray = (~np.isnan(truth)).sum(axis=0)
        return known

    def strata(self, truth: Truth) -> IntArray:
        # which tenth an image's mean rank over the columns lies in
        known = ~np.isnan(truth)
        middle = [
            np.median(c[k]) if k.any() else 0.0 for c, k in zip(truth.T, known.T, strict=True)
        ]
        filled = np.where(known, truth, middle)
        ranks = filled.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        order = ranks.mean(axis=1).argsort(kind="stable").argsort(kind="stable")
        n_bins = max(1, min(_QUANTILES, len(truth) // 2))
        found: IntArray = (order * n_bins // max(1, len(truth))).astype(np.int64)
        return found

    def said(self, truth: Truth, names: Sequence[str]) -> list[str]:
        return [
            BETWEEN.join("?" if np.isnan(value) else f"{value:.10g}" for value in row)
            for row in truth
        ]

    def in_words(self, truth: Truth, names: Sequence[str]) -> list[str]:
        return [
            ", ".join(
                f"{name} {value:.4g}"
                for name, value in zip(names, row.tolist(), strict=True)
                if not np.isnan(value)
            )
            for row in truth
        ]

    def read(self, said: Sequence[str], names: Sequence[str]) -> Truth:
        found = np.full((len(said), self.n_outputs), np.nan)
        for row, text in zip(found, said, strict=True):
            parts = text.split(BETWEEN)
            if len(parts) == self.n_outputs:
                row[:] = [_number(part) for part in parts]
        return found

    def labels_of(self, decided: Truth, names: Sequence[str]) -> list[tuple[str, ...]] | None:
        return None

    def sureness(self, prediction: FloatArray, decided: Truth) -> FloatArray | None:
        return None

    def scores(
        self,
        prediction: FloatArray,
        truth: Truth,
        names: Sequence[str],
        *,
        decided: Truth,
        groups: IntArray,
    ) -> dict[str, Any]:
        return score_numbers(prediction, truth, groups=groups).to_json(names)

    def contradicting(self, truth: Truth, copies: Sequence[Sequence[int]]) -> list[bool]:
        # nobody measures twice the same: a copy is wrong where as a prediction it would be
        return self.further_apart(truth, copies, _NEAR * _spread(truth))

    def split_by(self, truth: Truth) -> Truth:
        return quantile_strata(truth)

    def chance(self, truth: Truth) -> float:
        return 0.0

    def comparable(self, names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        return in_both(names, others, "column")

    def score_contributions(self, answered: Answered, truth: Truth) -> list[Contributions]:
        return of_numbers(answered.decided, truth)

    def output_contributions(
        self, answered: Answered, truth: Truth, names: Sequence[str]
    ) -> list[OutputContributions]:
        found = []
        for c, name in enumerate(names):
            rows = ~np.isnan(truth[:, c])
            off = np.abs(answered.decided[rows, c] - truth[rows, c])
            found.append(OutputContributions(name, rows, Contributions("mae", off, reach=0.0)))
        return [one for one in found if len(one.found.each)]

    def image_contributions(self, answered: Answered, truth: Truth) -> Contributions:
        known = ~np.isnan(truth)
        off = np.where(known, np.abs(answered.decided - truth) / _spread(truth), 0.0)
        each = off.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return Contributions("distance", each, reach=0.0)

    def balanced_gains(
        self, outputs: FloatArray, truth: Truth, shares: FloatArray
    ) -> BalancedGains:
        del shares
        return gains_of_numbers(outputs, truth)


def _number(text: str) -> float:
    """Return what a text says, NaN where that is no number."""
    try:
        return float(text)
    except ValueError:
        return np.nan


def _spread(truth: Truth) -> FloatArray:
    """Return the standard deviation of what is known of every column, shape (k,), never 0."""
    known = ~np.isnan(truth)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, truth, 0.0)
    mean = filled.sum(axis=0) / count
    variance = np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0) / count
    found: FloatArray = np.where(variance > 0.0, np.sqrt(variance), 1.0)
    return found
