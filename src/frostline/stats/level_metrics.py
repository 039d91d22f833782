"""What is wanted of grades: answers that are few levels off, and probabilities that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.settings import MetricName
from frostline.stats.decision_rule import DecisionRule
from frostline.stats.metrics import TINY, ExpectedCost


@dataclass(frozen=True)
class LevelDistance(ExpectedCost):
    """How much of the mean distance is gone that always answering the median level has.

    The level with the lowest expected distance is answered: the median. Probabilities are judged by
    the ranked probability score (Epstein 1969), the squared distance of the cumulative ones.
    """

    name: ClassVar[MetricName] = "mae"

    @classmethod
    def of(cls, n_levels: int) -> Self:
        """Return the metric of so many levels."""
        place = range(n_levels)
        return cls(tuple(tuple(float(abs(i - j)) for j in place) for i in place))

    def of_probabilities(
        self,
        probabilities: FloatArray,
        rule: DecisionRule,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> FloatArray:
        share = np.ones(len(truth)) if weights is None else weights * (len(truth) / weights.sum())
        reached = (truth[:, None] <= np.arange(len(self.costs) - 1)).astype(np.float64)
        base = np.average(reached, axis=0, weights=share)
        off = _squared(np.cumsum(probabilities, axis=1)[:, :-1], reached)
        unknowing = max(float(np.mean(share * _squared(base, reached))), TINY)
        values = 1.0 - off / unknowing
        mean = float(np.mean(share * values))
        found: FloatArray = mean + share * (values - mean)
        return found


def _squared(cumulative: FloatArray, reached: FloatArray) -> FloatArray:
    found: FloatArray = np.square(cumulative - reached).sum(axis=1)
    return found
