"""One of several classes that have an order, such as grades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.task import Task
from frostline.stats.ordinal_scores import score_levels
from frostline.targets.single_label import SingleLabel


@dataclass(frozen=True)
class Ordinal(SingleLabel):
    """Exactly one of several grades; their numbers grow with them.

    ``n_outputs``: number of grades.
    """

    @property
    def task(self) -> Task:
        return "ordinal"

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
