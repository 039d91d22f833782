"""What is wanted of predictions: a score for every image, whose mean is that of all of them.

Every comparison is paired, image by image, and its error counts groups. Accuracy is a mean over
images; balanced accuracy and macro-F1 are not. Their contributions are the score plus the influence
of each image on it (the delta method, or infinitesimal jackknife: Efron 1982, "The jackknife, the
bootstrap and other resampling plans"): the mean is the score, and the spread gives its error, so
that :func:`frostline.stats.intervals.paired_difference` compares them like all others.

Scores are 1 at best. Of losses they say how much of the loss is gone that knowing the share of
every class, but no image, leaves: 0 is no better than that, and below 0 is worse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.core.settings import MetricName
from frostline.stats.decision_rule import LIKELIEST, Answers, Decided, DecisionRule, Shared

#: what each image counts: whether it is right, or what it contributes to a score
Gains = BoolArray | FloatArray

#: probabilities are kept this far from 0 in logarithms, as scikit-learn does
TINY = float(np.finfo(np.float64).eps)
#: powers of the share of a class that probabilities may be divided by
_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Metric(ABC):
    """What is to be made as high as possible.

    ``probabilities``, shape (n, C), are calibrated and of images that did not teach; ``truth``,
    shape (n,), is in [0, C); ``weights``, shape (n,), are of the images, None where all count
    alike.
    """

    name: ClassVar[MetricName]

    @property
    def plain(self) -> bool:
        """Whether it is accuracy, which asks for the likeliest class."""
        return False

    def rule(self, probabilities: FloatArray, truth: IntArray, shares: FloatArray) -> DecisionRule:
        """Return how classes follow from probabilities.

        ``shares``, shape (C,): of the classes in what the fit saw, weights and all.
        """
        del probabilities, truth, shares
        return LIKELIEST

    def of_decisions(
        self,
        probabilities: FloatArray,
        rule: DecisionRule,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> Gains:
        """Return the contribution of every image, shape (n,), by the classes that are answered."""
        return self.of_answers(probabilities, rule.decide(probabilities), truth, weights)

    @abstractmethod
    def of_answers(
        self,
        probabilities: FloatArray,
        answers: IntArray,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> Gains:
        """Return the same for classes that were answered, shape (n,)."""

    @abstractmethod
    def of_probabilities(
        self,
        probabilities: FloatArray,
        rule: DecisionRule,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> FloatArray:
        """Return the same as if classes were drawn by what leads to the decision.

        That tells models apart on far fewer images than the decisions do.
        """


class ClassMetric(Metric):
    """A metric of classes that are answered, or are drawn by their probabilities."""

    def of_answers(
        self,
        probabilities: FloatArray,
        answers: IntArray,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> Gains:
        decided = Decided(answers, probabilities.shape[1])
        return self._gains(decided, truth, _normalised(weights, len(truth)))

    def of_probabilities(
        self,
        probabilities: FloatArray,
        rule: DecisionRule,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> FloatArray:
        return self._gains(rule.shared(probabilities), truth, _normalised(weights, len(truth)))

    @abstractmethod
    def _gains(self, answers: Answers, truth: IntArray, weights: FloatArray) -> FloatArray:
        """Return the contributions; ``weights`` have mean 1."""


@dataclass(frozen=True)
class Accuracy(ClassMetric):
    """The share of images whose class is answered."""

    name: ClassVar[MetricName] = "accuracy"

    @property
    def plain(self) -> bool:
        return True

    def of_answers(
        self,
        probabilities: FloatArray,
        answers: IntArray,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> Gains:
        if weights is not None:
            return super().of_answers(probabilities, answers, truth, weights)
        right: BoolArray = answers == truth
        return right

    def _gains(self, answers: Answers, truth: IntArray, weights: FloatArray) -> FloatArray:
        return _of_mean(answers.own(truth), weights)


@dataclass(frozen=True)
class BalancedAccuracy(ClassMetric):
    """The mean over classes of the share of their images whose class is answered.

    With true probabilities it is highest where the class with the largest ratio of probability to
    share is answered. Those of a fit may say too little of rare classes as they are, so that the
    whole ratio goes too far: they are divided by the power of the share that is best on images that
    did not teach, the whole one of equals.
    """

    name: ClassVar[MetricName] = "balanced_accuracy"

    def rule(self, probabilities: FloatArray, truth: IntArray, shares: FloatArray) -> DecisionRule:
        return _best_power(self, _POWERS[::-1], probabilities, truth, shares)

    def _gains(self, answers: Answers, truth: IntArray, weights: FloatArray) -> FloatArray:
        own = answers.own(truth)
        n_outputs = int(truth.max()) + 1
        in_class = np.bincount(truth, weights=weights, minlength=n_outputs)
        hits = np.bincount(truth, weights=weights * own, minlength=n_outputs)
        occurring = in_class > 0
        recall = np.divide(hits, in_class, out=np.zeros(n_outputs), where=occurring)
        score = float(recall[occurring].mean())
        # the weight of an image in its class, times that of its class; none of a class without
        # any weight
        each = np.where(occurring, in_class, np.inf)[truth]
        pull = weights * len(truth) / (occurring.sum() * each)
        found: FloatArray = score + pull * (own - recall[truth])
        return found


@dataclass(frozen=True)
class MacroF1(ClassMetric):
    """The mean over the classes that occur of twice the hits by what is in them or called so.

    No closed rule makes it highest. The probabilities are divided by the power of the class's share
    that is best on images that did not teach, none of equals. One number is chosen, not one a
    class, so that classes of few images do not decide by luck.
    """

    name: ClassVar[MetricName] = "macro_f1"

    def rule(self, probabilities: FloatArray, truth: IntArray, shares: FloatArray) -> DecisionRule:
        return _best_power(self, _POWERS, probabilities, truth, shares)

    def _gains(self, answers: Answers, truth: IntArray, weights: FloatArray) -> FloatArray:
        own, called = answers.own(truth), answers.totals(weights)
        n_outputs = len(called)
        in_class = np.bincount(truth, weights=weights, minlength=n_outputs)
        hits = np.bincount(truth, weights=weights * own, minlength=n_outputs)
        occurring = in_class > 0
        both = np.where(occurring, in_class + called, 1.0)
        f1 = np.where(occurring, 2.0 * hits / both, 0.0)
        loss = f1 / both
        influence = 2.0 * own / both[truth] - loss[truth] - answers.times(loss)
        score = float(f1[occurring].mean())
        found: FloatArray = score + weights * influence * len(truth) / occurring.sum()
        return found


@dataclass(frozen=True)
class LogLoss(ClassMetric):
    """How much of the negative log-likelihood of the class shares is gone."""

    name: ClassVar[MetricName] = "log_loss"

    def of_answers(
        self,
        probabilities: FloatArray,
        answers: IntArray,
        truth: IntArray,
        weights: FloatArray | None = None,
    ) -> Gains:
        # whatever is answered, the probabilities themselves are judged
        return self._gains(Shared(probabilities), truth, _normalised(weights, len(truth)))

    def _gains(self, answers: Answers, truth: IntArray, weights: FloatArray) -> FloatArray:
        shares = _shares(truth, weights)
        occurring = shares[shares > 0]
        unknowing = float(-(occurring * np.log(occurring)).sum()) or 1.0
        return _of_mean(1.0 + np.log(np.maximum(answers.own(truth), TINY)) / unknowing, weights)


@dataclass(frozen=True)
class ExpectedCost(ClassMetric):
    """How much of the mean cost is gone that always answering the cheapest class has.

    ``costs``: of taking the class of the row for that of the column; 0 on the diagonal.
    """

    name: ClassVar[MetricName] = "cost"
    costs: tuple[tuple[float, ...], ...]

    def rule(self, probabilities: FloatArray, truth: IntArray, shares: FloatArray) -> DecisionRule:
        return DecisionRule(costs=self.costs)

    def _gains(self, answers: Answers, truth: IntArray, weights: FloatArray) -> FloatArray:
        costs = np.array(self.costs)
        shares = _shares(truth, weights, n_outputs=len(costs))
        unknowing = float((shares @ costs).min()) or 1.0
        return _of_mean(1.0 - answers.cost(costs, truth) / unknowing, weights)


ACCURACY: Metric = Accuracy()
#: those that are known by name alone
METRICS: dict[str, Metric] = {
    one.name: one for one in (ACCURACY, BalancedAccuracy(), MacroF1(), LogLoss())
}


@dataclass(frozen=True)
class Judge:
    """Judges predictions for n images by one metric, with the rule that came of other images.

    ``truth``: shape (n,). ``weights``: shape (n,), or None where all count alike.
    """

    metric: Metric
    rule: DecisionRule
    truth: IntArray
    weights: FloatArray | None = None

    @property
    def plain(self) -> bool:
        """Whether it counts which images have their own as the likeliest class."""
        return self.metric.plain and self.weights is None

    def of_decisions(self, probabilities: FloatArray) -> Gains:
        """Return what every image contributes by the class that is answered, shape (n,)."""
        return self.metric.of_decisions(probabilities, self.rule, self.truth, self.weights)

    def of_probabilities(self, probabilities: FloatArray) -> FloatArray:
        """Return what every image contributes by its probabilities, shape (n,)."""
        return self.metric.of_probabilities(probabilities, self.rule, self.truth, self.weights)


def side_by_side(parts: Sequence[Gains]) -> Gains:
    """Return what several sets of images contribute, as one."""
    # one metric gives all parts one type
    each: list[Any] = list(parts)
    found: Gains = np.concatenate(each)
    return found


def class_shares(truth: IntArray, weights: FloatArray | None, *, n_outputs: int) -> FloatArray:
    """Return the share of every class among rows that weigh differently, shape (C,)."""
    return _shares(truth, _normalised(weights, len(truth)), n_outputs=n_outputs)


def _best_power(
    metric: Metric,
    powers: Sequence[float],
    probabilities: FloatArray,
    truth: IntArray,
    shares: FloatArray,
) -> DecisionRule:
    """Return the rule of the power that scores best, the first of equals, or without images."""
    rules = [_by_share(shares, power) for power in powers]
    if not len(truth):
        return rules[0]
    scores = [float(np.mean(metric.of_decisions(probabilities, rule, truth))) for rule in rules]
    return rules[int(np.argmax(scores))]


def _by_share(shares: FloatArray, power: float) -> DecisionRule:
    """Divide probabilities by a power of the shares; the most frequent class has factor 1 or less.

    A class that no image had is never answered by chance: its factor is that of the rarest.
    """
    known = shares[shares > 0]
    if not len(known):
        raise InputError("A decision rule needs the share of at least one class.")
    factors = (known.min() / np.maximum(shares, known.min())) ** power
    if np.all(factors == factors[0]):
        return LIKELIEST
    return DecisionRule(factors=tuple(map(float, factors)))


def _of_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return contributions to a weighted mean."""
    mean = float(np.mean(weights * values))
    found: FloatArray = mean + weights * (values - mean)
    return found


def _shares(truth: IntArray, weights: FloatArray, *, n_outputs: int = 0) -> FloatArray:
    found = np.bincount(truth, weights=weights, minlength=n_outputs)
    return np.asarray(found / found.sum(), dtype=np.float64)


def _normalised(weights: FloatArray | None, n: int) -> FloatArray:
    return np.ones(n) if weights is None else weights * (n / weights.sum())
