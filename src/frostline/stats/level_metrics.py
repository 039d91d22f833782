"""What is wanted of grades: answers that are few levels off, and probabilities that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.settings import MetricName
from frostline.stats.decision_rule import DecisionRule
from frostline.stats.metrics import TINY, ExpectedCost
from frostline.stats.ordinal_scores import kappa_contributions

_MOST_STEPS, _STILL = 20, 1e-9


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


@dataclass(frozen=True)
class QuadraticKappa(LevelDistance):
    """Cohen's kappa with quadratic weights (Cohen 1968), of the levels that are answered.

    It is 1 minus a ratio: the mean squared distance of answers from their truth, by that from the
    truth about other images. The answers that make it highest differ from those of the lowest
    squared distance, as they may not crowd around the mean; given the ratio that is reached, the
    difference of both means is as low for them (Dinkelbach 1967, "On nonlinear fractional
    programming"), so that costs lead to them. Probabilities are judged as by the distance.
    """

    name: ClassVar[MetricName] = "qwk"

    @classmethod
    def of(cls, n_levels: int) -> Self:
        """Return the metric of so many levels."""
        place = range(n_levels)
        return cls(tuple(tuple(float((i - j) ** 2) for j in place) for i in place))

    def rule(self, probabilities: FloatArray, truth: IntArray, shares: FloatArray) -> DecisionRule:
        squares, place = np.array(self.costs), np.arange(len(self.costs), dtype=np.float64)
        middle = float(shares @ place)
        around = np.square(place - middle)
        spread = float(shares @ around)
        ratio, rule = 0.0, DecisionRule(costs=self.costs)
        for _ in range(_MOST_STEPS if len(truth) else 0):
            answers = rule.decide(probabilities)
            expected = spread + float(around[answers].mean())
            before, ratio = ratio, float(squares[truth, answers].mean()) / max(expected, TINY)
            if abs(ratio - before) < _STILL:
                break
            # what is added to all alike decides nothing, and no cost is below 0
            costs = squares + ratio * (around.max() - around)
            rule = DecisionRule(costs=tuple(tuple(map(float, row)) for row in costs))
        return rule

    def of_answers(
        self,
        probabilities: FloatArray,
        answers: IntArray,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> FloatArray:
        found = kappa_contributions(truth, answers, weights)
        # truth and answers of one level throughout agree by chance alone
        return np.zeros(len(truth)) if found is None else found[1]


#: those that are known by name alone
LEVEL_METRICS: dict[str, type[LevelDistance]] = {
    one.name: one for one in (LevelDistance, QuadraticKappa)
}


def _squared(cumulative: FloatArray, reached: FloatArray) -> FloatArray:
    found: FloatArray = np.square(cumulative - reached).sum(axis=1)
    return found
