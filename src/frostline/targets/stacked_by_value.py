"""How heads are added up where every output is a value with a loss of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.stats.second_stage import StageKind
from frostline.stats.stacked_head import Fit, Folds, StackedHead
from frostline.stats.stacked_values import Losses, stacked_values


class StackedByValue:
    """The part of a target that several labels and numbers share.

    ``losses``: of the outputs.
    """

    losses: ClassVar[Losses]

    def stage(self, asked: StageKind) -> StageKind:
        return self.losses.stage

    def stages(self) -> Sequence[StageKind]:
        return [self.losses.stage]

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
        return stacked_values(
            self.losses, fits, columns, truth, folds, prior=prior, groups=groups, weights=weights
        )
