"""One of several classes that have an order, such as grades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.errors import InputError
from frostline.core.task import Task
from frostline.stats.level_metrics import LevelDistance
from frostline.stats.metrics import Metric
from frostline.stats.ordinal_scores import score_levels
from frostline.stats.score_contributions import Answered, Contributions, of_classes, of_levels
from frostline.stats.second_stage import StageKind, stage_kinds
from frostline.targets.comparable import some
from frostline.targets.single_label import SingleLabel


@dataclass(frozen=True)
class Ordinal(SingleLabel):
    """Exactly one of several grades; their numbers grow with them.

    ``n_outputs``: number of grades.
    """

    @property
    def task(self) -> Task:
        return "ordinal"

    def metric(self, asked: Metric | None) -> Metric:
        # who says that there is an order wants answers that are few grades off
        return LevelDistance.of(self.n_outputs) if asked is None else asked

    def stages(self) -> Sequence[StageKind]:
        found = stage_kinds(self.n_outputs)
        return [*found[:2], "ordered", *found[2:]] if self.n_outputs > 2 else found

    def scores(
        self,
        prediction: FloatArray,
        truth: Truth,
        names: Sequence[str],
        *,
        decided: Truth,
        groups: IntArray,
    ) -> dict[str, Any]:
        found = score_levels(prediction, truth, answers=decided, groups=groups).to_json()
        return {name: value for name, value in found.items() if name != "n"}

    def comparable(self, names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        if tuple(names) != tuple(others):
            raise InputError(
                f"The models have different grades: {some(names)}, and {some(others)}.",
                hint="How far off an answer is can only be compared on one scale.",
            )
        return tuple(names)

    def score_contributions(self, answered: Answered, truth: Truth) -> list[Contributions]:
        return [*of_levels(answered, truth), *of_classes(answered, truth)]

    def image_contributions(self, answered: Answered, truth: Truth) -> Contributions:
        off = np.abs(answered.decided - truth).astype(np.float64)
        return Contributions("mae", off)
