"""One class for every image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.errors import InputError, SettingsError
from frostline.core.task import Task
from frostline.stats.balanced_gains import BalancedGains, gains_of_classes
from frostline.stats.calibration import fit_temperature, softmax
from frostline.stats.class_weights import class_weights
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.inputs import check_labels
from frostline.stats.level_metrics import LevelDistance
from frostline.stats.metrics import ACCURACY, Metric, class_shares
from frostline.stats.probe_accuracy import LeftOutFit, LOOAccuracy, loo_accuracy
from frostline.stats.score_contributions import (
    Answered,
    Contributions,
    OutputContributions,
    of_classes,
)
from frostline.stats.second_stage import StageKind, stage_kinds
from frostline.stats.sigmoids import Rescaling
from frostline.stats.stacked_head import Fit, Folds, StackedHead, stacked_head
from frostline.stats.target_matrix import OneHot
from frostline.targets.comparable import some
from frostline.targets.links import Link
from frostline.targets.protocol import Shares, Weighting


@dataclass(frozen=True)
class SingleLabel:
    """Exactly one of several classes.

    ``n_outputs``: number of classes.
    """

    n_outputs: int

    @property
    def task(self) -> Task:
        return "single"

    @property
    def exclusive(self) -> bool:
        return True

    @property
    def compared(self) -> bool:
        return True

    @property
    def loss(self) -> str:
        return "cross_entropy"

    @property
    def link_name(self) -> Link:
        return "softmax"

    def encode(self, labels: npt.ArrayLike) -> IntArray:
        return check_labels(labels, n_rows=len(np.asarray(labels)), n_classes=self.n_outputs)

    def check(self, truth: Truth, names: Sequence[str], *, where: str) -> None:
        self.encode(truth)

    def metric(self, asked: Metric | None) -> Metric:
        if isinstance(asked, LevelDistance):
            raise SettingsError(
                f"metric={asked.name!r} is for grades: classes have no distance.",
                hint="Where these have an order, say so: task='ordinal' (--task ordinal).",
            )
        return ACCURACY if asked is None else asked

    def matrix(self, truth: Truth) -> OneHot:
        return OneHot(self.encode(truth), self.n_outputs)

    def output_weights(self, truth: Truth, weighting: Weighting) -> FloatArray | None:
        return class_weights(truth, n_classes=self.n_outputs, choice=weighting)

    def row_weights(self, truth: Truth, weights: FloatArray | None) -> FloatArray | None:
        if weights is None:
            return None
        if weights.shape != (self.n_outputs,):
            raise InputError(f"Expected {self.n_outputs} class weights, not shape {weights.shape}.")
        return weights[truth]

    def link(self, outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
        return softmax(outputs, temperature)

    def units(self, truth: Truth) -> Rescaling | None:
        return None

    def calibrate(
        self, outputs: npt.ArrayLike, truth: npt.ArrayLike, weights: FloatArray | None = None
    ) -> float:
        return fit_temperature(outputs, truth, weights=weights)

    def rescaling(
        self, outputs: npt.ArrayLike, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        return None

    def contributions(
        self, outputs: FloatArray, truth: Truth, rescaling: Rescaling | None
    ) -> FloatArray | BoolArray:
        return self.right(outputs, truth)

    def stage(self, asked: StageKind) -> StageKind:
        return asked

    def stages(self) -> Sequence[StageKind]:
        return stage_kinds(self.n_outputs)

    def stacked_head(
        self,
        fits: Sequence[Fit],
        columns: Sequence[slice],
        truth: Truth,
        folds: Folds,
        *,
        prior: FloatArray,
        groups: IntArray,
        weights: FloatArray | None = None,
        kinds: Sequence[StageKind] | None = None,
    ) -> StackedHead:
        return stacked_head(
            fits, columns, truth, folds, prior=prior, groups=groups, weights=weights, kinds=kinds
        )

    def rule(
        self, metric: Metric, prediction: FloatArray, truth: Truth, shares: Shares
    ) -> DecisionRule:
        return metric.rule(prediction, truth, class_shares(*shares, n_outputs=self.n_outputs))

    def touch_up(
        self, logits: FloatArray, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        return None

    def decide(self, prediction: FloatArray, rule: DecisionRule = LIKELIEST) -> IntArray:
        return rule.decide(prediction)

    def right(self, prediction: FloatArray, truth: Truth) -> BoolArray:
        found: BoolArray = prediction.argmax(axis=1) == truth
        return found

    def agrees(self, decided: Truth, truth: Truth) -> BoolArray:
        found: BoolArray = decided == truth
        return found

    def certainty(self, prediction: FloatArray, truth: Truth) -> FloatArray:
        found: FloatArray = prediction[np.arange(len(truth)), truth]
        return found

    def accuracy(self, prediction: FloatArray, truth: Truth) -> float:
        return float(self.right(prediction, truth).mean())

    def left_out_scores(
        self, fit: LeftOutFit, truth: Truth, groups: npt.ArrayLike | None = None
    ) -> LOOAccuracy:
        return loo_accuracy(fit, truth, groups=groups)

    def counts(self, truth: Truth) -> IntArray:
        found: IntArray = np.bincount(truth, minlength=self.n_outputs)
        return found

    def strata(self, truth: Truth) -> IntArray:
        return truth

    def said(self, truth: Truth, names: Sequence[str]) -> list[str]:
        return [names[int(number)] for number in truth]

    def in_words(self, truth: Truth, names: Sequence[str]) -> list[str]:
        return self.said(truth, names)

    def read(self, said: Sequence[str], names: Sequence[str]) -> Truth:
        place = {name: i for i, name in enumerate(names)}
        return np.array([place.get(text, -1) for text in said], dtype=np.int64)

    def labels_of(self, decided: Truth, names: Sequence[str]) -> list[tuple[str, ...]] | None:
        return None

    def sureness(self, prediction: FloatArray, decided: Truth) -> FloatArray | None:
        return self.certainty(prediction, decided)

    def scores(
        self,
        prediction: FloatArray,
        truth: Truth,
        names: Sequence[str],
        *,
        decided: Truth,
        groups: IntArray,
    ) -> dict[str, Any]:
        return {}

    def contradicting(self, truth: Truth, copies: Sequence[Sequence[int]]) -> list[bool]:
        return [len(np.unique(truth[list(rows)])) > 1 for rows in copies]

    def split_by(self, truth: Truth) -> Truth:
        return truth

    def chance(self, truth: Truth) -> float:
        return float(np.bincount(truth).max() / len(truth))

    def comparable(self, names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        # whoever knows a class that the other does not may answer it, and is wrong
        if not set(names) & set(others):
            raise InputError(
                f"The models have no class in common: {some(names)}, and {some(others)}.",
                hint="Compare models of the same classes.",
            )
        return (*names, *(name for name in others if name not in set(names)))

    def score_contributions(self, answered: Answered, truth: Truth) -> list[Contributions]:
        return of_classes(answered, truth)

    def output_contributions(
        self, answered: Answered, truth: Truth, names: Sequence[str]
    ) -> list[OutputContributions]:
        right = (answered.decided == truth).astype(np.float64)
        found = []
        for c in np.unique(truth).tolist():
            rows = truth == c
            found.append(OutputContributions(names[c], rows, Contributions("recall", right[rows])))
        return found

    def image_contributions(self, answered: Answered, truth: Truth) -> Contributions:
        return Contributions("accuracy", (answered.decided == truth).astype(np.float64))

    def balanced_gains(
        self, outputs: FloatArray, truth: Truth, shares: FloatArray
    ) -> BalancedGains:
        return gains_of_classes(outputs, truth, shares)
