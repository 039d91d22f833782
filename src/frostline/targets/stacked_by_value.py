"""How heads are added up where every output is a value with a loss of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

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

    @staticmethod
    def further_apart(
        truth: Truth, sets: Sequence[Sequence[int]], tolerated: FloatArray
    ) -> list[bool]:
        """Return of which sets of rows known values of a column differ by more than is tolerated.

        ``truth``: shape (n, k). ``tolerated``: shape (k,).
        """
        found = []
        for rows in sets:
            values = truth[list(rows)]
            known = ~np.isnan(values)
            highest = np.where(known, values, -np.inf).max(axis=0)
            lowest = np.where(known, values, np.inf).min(axis=0)
            found.append(bool(np.any(highest - lowest > tolerated)))
        return found

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
