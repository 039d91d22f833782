"""Any number of labels for every image; some may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.errors import InputError, SettingsError
from frostline.core.task import Task
from frostline.stats.balanced_gains import BalancedGains, gains_of_labels
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.label_ranking import average_precision
from frostline.stats.label_thresholds import best_thresholds
from frostline.stats.metrics import TINY, Metric
from frostline.stats.multilabel_scores import score_labels
from frostline.stats.probe_accuracy import LeftOutFit, LOOAccuracy
from frostline.stats.score_contributions import (
    Answered,
    Contributions,
    OutputContributions,
    of_each_label,
    of_labels,
)
from frostline.stats.sigmoids import (
    Rescaling,
    fit_sigmoids,
    fit_temperature_of_sigmoids,
    known_mean,
    log_likelihoods,
    sigmoid,
)
from frostline.stats.stacked_values import SIGMOID, Losses
from frostline.stats.target_matrix import Values
from frostline.stats.value_metrics import LabelLogLoss
from frostline.targets.comparable import in_both
from frostline.targets.links import Link
from frostline.targets.protocol import Shares, Weighting
from frostline.targets.stacked_by_value import StackedByValue

#: a label is given where its probability reaches this, unless a rule says otherwise
_HALF = 0.5
_NAMED = 5
#: images with a label, and without it, that may change what training made of it
_ENOUGH = 8
#: between the labels of one image, and before one of which nobody knows, as text
BETWEEN, UNKNOWN = ";", "?"


@dataclass(frozen=True)
class MultiLabel(StackedByValue):
    """Any number of several labels, each present, absent or unknown.

    ``n_outputs``: number of labels.
    """

    losses: ClassVar[Losses] = SIGMOID

    n_outputs: int

    @property
    def task(self) -> Task:
        return "multilabel"

    @property
    def exclusive(self) -> bool:
        return False

    @property
    def compared(self) -> bool:
        return True

    @property
    def loss(self) -> str:
        return "binary_cross_entropy"

    @property
    def link_name(self) -> Link:
        return "sigmoid"

    def encode(self, labels: npt.ArrayLike) -> Truth:
        found = np.asarray(labels, dtype=np.float64)
        if found.ndim != 2 or found.shape[1] != self.n_outputs:
            raise InputError(
                f"Labels must be a table of {self.n_outputs} columns, not {found.shape}."
            )
        known = found[~np.isnan(found)]
        if not np.all((known == 0.0) | (known == 1.0)):
            wrong = known[(known != 0.0) & (known != 1.0)][0]
            raise InputError(f"Labels must be 0, 1 or NaN for unknown, not {wrong:g}.")
        return found

    def check(self, truth: Truth, names: Sequence[str], *, where: str) -> None:
        has, lacks = (truth == 1.0).sum(axis=0), (truth == 0.0).sum(axis=0)
        if not np.any((has > 0) & (lacks > 0)):
            raise InputError(
                f"No label of {where} is there in some images and absent in others.",
                hint="Give every label images with it and images without it.",
            )
        unheard = [name for name, known in zip(names, has + lacks, strict=True) if not known]
        if unheard:
            raise InputError(
                f"Nothing is known of {_listed(unheard)} in {where}.",
                hint="Leave these labels out, or say of some images whether they have them.",
            )

    def metric(self, asked: Metric | None) -> Metric:
        if asked is not None and not asked.plain and asked.name != LabelLogLoss.name:
            raise SettingsError(
                f"metric={asked.name!r} is for one label an image, not for several.",
                hint="Leave it out: labels are judged by their probabilities.",
            )
        return LabelLogLoss()

    def matrix(self, truth: Truth) -> Values:
        return Values(self.encode(truth))

    def output_weights(self, truth: Truth, weighting: Weighting) -> FloatArray | None:
        if weighting != "none":
            raise SettingsError(
                "class_weight='balanced' is for one label an image, not for several.",
                hint="Leave it out: thresholds of labels do that.",
            )
        return None

    def row_weights(self, truth: Truth, weights: FloatArray | None) -> FloatArray | None:
        return None

    def link(self, outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
        return sigmoid(outputs, temperature)

    def units(self, truth: Truth) -> Rescaling | None:
        return None

    def calibrate(
        self, outputs: npt.ArrayLike, truth: npt.ArrayLike, weights: FloatArray | None = None
    ) -> float:
        return fit_temperature_of_sigmoids(outputs, np.asarray(truth), weights=weights)

    def rescaling(
        self, outputs: npt.ArrayLike, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        return fit_sigmoids(outputs, truth, weights=weights)

    def contributions(
        self, outputs: FloatArray, truth: Truth, rescaling: Rescaling | None
    ) -> FloatArray | BoolArray:
        values = outputs if rescaling is None else rescaling.apply(outputs)
        return LabelLogLoss().of_values(self.link(values), truth)

    def rule(
        self, metric: Metric, prediction: FloatArray, truth: Truth, shares: Shares
    ) -> DecisionRule:
        return DecisionRule(thresholds=tuple(map(float, best_thresholds(prediction, truth))))

    def touch_up(
        self, logits: FloatArray, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        found = fit_sigmoids(logits, truth, weights=weights)
        rarer = np.minimum((truth == 1.0).sum(axis=0), (truth == 0.0).sum(axis=0))
        tells = (rarer >= _ENOUGH) & (found.scale > 0.0)
        return Rescaling(np.where(tells, found.scale, 1.0), np.where(tells, found.bias, 0.0))

    def decide(self, prediction: FloatArray, rule: DecisionRule = LIKELIEST) -> Truth:
        return (prediction >= (np.array(rule.thresholds) if rule.thresholds else _HALF)).astype(
            np.float64
        )

    def right(self, prediction: FloatArray, truth: Truth) -> BoolArray:
        return self.agrees(self.decide(prediction), truth)

    def agrees(self, decided: Truth, truth: Truth) -> BoolArray:
        found: BoolArray = ((decided == truth) | np.isnan(truth)).all(axis=1)
        return found

    def certainty(self, prediction: FloatArray, truth: Truth) -> FloatArray:
        found: FloatArray = np.exp(known_mean(log_likelihoods(prediction, truth, tiny=TINY)))
        return found

    def accuracy(self, prediction: FloatArray, truth: Truth) -> float:
        precisions = average_precisions(prediction, truth)
        judged = ~np.isnan(precisions)
        return float(precisions[judged].mean()) if judged.any() else 0.0

    def left_out_scores(
        self, fit: LeftOutFit, truth: Truth, groups: npt.ArrayLike | None = None
    ) -> LOOAccuracy:
        precisions = average_precisions(fit.loo, truth)
        judged = ~np.isnan(precisions)
        mean = self.accuracy(fit.loo, truth)
        has = np.maximum((truth == 1.0).sum(axis=0), 1)[judged]
        # as of shares of the images with each label
        variance = precisions[judged] * (1.0 - precisions[judged]) / has
        error = float(np.sqrt(variance.sum())) / max(1, int(judged.sum()))
        rescaling = self.rescaling(fit.loo, truth)
        left_out = fit.loo if rescaling is None else rescaling.apply(fit.loo)
        return LOOAccuracy(
            correct=self.right(self.link(left_out), truth),
            accuracy=mean,
            standard_error=error,
            balanced_accuracy=mean,
            balanced_standard_error=error,
            train_accuracy=self.accuracy(fit.fitted, truth),
        )

    def counts(self, truth: Truth) -> IntArray:
        has: IntArray = (truth == 1.0).sum(axis=0)
        return has

    def strata(self, truth: Truth) -> IntArray:
        # the rarest label that an image has; a number of its own where it has none
        has = truth == 1.0
        rarity = np.where(has, has.sum(axis=0), np.iinfo(np.int64).max)
        found: IntArray = np.where(has.any(axis=1), rarity.argmin(axis=1), self.n_outputs)
        return found

    def said(self, truth: Truth, names: Sequence[str]) -> list[str]:
        marks = {1.0: "", 0.0: None}
        return [
            BETWEEN.join(
                f"{mark}{name}"
                for value, name in zip(row.tolist(), names, strict=True)
                if (mark := marks.get(value, UNKNOWN)) is not None
            )
            for row in truth
        ]

    def in_words(self, truth: Truth, names: Sequence[str]) -> list[str]:
        return [
            ", ".join(name for value, name in zip(row, names, strict=True) if value == 1.0)
            or "none of the labels"
            for row in truth.tolist()
        ]

    def read(self, said: Sequence[str], names: Sequence[str]) -> Truth:
        place = {name: i for i, name in enumerate(names)}
        place |= {f"{UNKNOWN}{name}": i + len(names) for i, name in enumerate(names)}
        found = np.zeros((len(said), 2 * len(names)))
        for row, text in zip(found, said, strict=True):
            parts = text.split(BETWEEN) if text else []
            known = all(part in place for part in parts)
            row[[place[part] for part in parts] if known else slice(None)] = 1.0
        has, unknown = np.hsplit(found, 2)
        return np.where(unknown > 0.0, np.nan, has)

    def labels_of(self, decided: Truth, names: Sequence[str]) -> list[tuple[str, ...]] | None:
        return [
            tuple(name for name, has in zip(names, row, strict=True) if has > _HALF)
            for row in decided
        ]

    def sureness(self, prediction: FloatArray, decided: Truth) -> FloatArray | None:
        sure: FloatArray = np.where(decided > 0.5, prediction, 1.0 - prediction).min(axis=1)
        return sure

    def scores(
        self,
        prediction: FloatArray,
        truth: Truth,
        names: Sequence[str],
        *,
        decided: Truth,
        groups: IntArray,
    ) -> dict[str, Any]:
        return score_labels(prediction, truth, decided=decided, groups=groups).to_json(names)

    def contradicting(self, truth: Truth, copies: Sequence[Sequence[int]]) -> list[bool]:
        return self.further_apart(truth, copies, np.zeros(self.n_outputs))

    def split_by(self, truth: Truth) -> Truth:
        return truth

    def chance(self, truth: Truth) -> float:
        # images in any order have as mean precision the share of those with the label
        has, known = (truth == 1.0).sum(axis=0), (~np.isnan(truth)).sum(axis=0)
        there = has > 0
        return float((has[there] / known[there]).mean()) if there.any() else 0.0

    def comparable(self, names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        return in_both(names, others, "label")

    def score_contributions(self, answered: Answered, truth: Truth) -> list[Contributions]:
        return of_labels(answered, truth)

    def output_contributions(
        self, answered: Answered, truth: Truth, names: Sequence[str]
    ) -> list[OutputContributions]:
        return of_each_label(answered, truth, tuple(names))

    def image_contributions(self, answered: Answered, truth: Truth) -> Contributions:
        known = ~np.isnan(truth)
        right = ((answered.decided > _HALF) == (truth > _HALF)) & known
        each = right.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return Contributions("labels_right", each, reach=1.0 / self.n_outputs)

    def balanced_gains(
        self, outputs: FloatArray, truth: Truth, shares: FloatArray
    ) -> BalancedGains:
        return gains_of_labels(outputs, truth, shares)


def average_precisions(outputs: FloatArray, truth: Truth) -> FloatArray:
    """Return the average precision of every label, shape (k,); NaN where no image has it.

    ``truth``: 0, 1, or NaN where a label is unknown, which is left out.
    """
    found = np.full(outputs.shape[1], np.nan)
    for column in range(outputs.shape[1]):
        known = ~np.isnan(truth[:, column])
        found[column], _ = average_precision(outputs[known, column], truth[known, column] == 1.0)
    return found


def _listed(names: Sequence[str]) -> str:
    said = ", ".join(map(repr, names[:_NAMED]))
    return said + (" and others" if len(names) > _NAMED else "")
