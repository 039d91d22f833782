"""What is wanted of several labels or of numbers: contributions of images whose mean is the score.

Both say how much is gone of what the mean of every output, but no image, leaves: 1 at best, 0 is no
better than that. Cells of the truth that nobody knows are left out, output by output.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from frostline.core.arrays import FloatArray, Truth
from frostline.core.settings import MetricName
from frostline.stats.decision_rule import DecisionRule
from frostline.stats.metrics import TINY, Gains, Metric
from frostline.stats.sigmoids import known_mean, log_likelihoods


class ValueMetric(Metric):
    """A metric of predictions (n, k) and truth (n, k), whatever is answered."""

    def of_decisions(
        self,
        probabilities: FloatArray,
        rule: DecisionRule,
        truth: Truth,
        weights: FloatArray | None = None,
    ) -> Gains:
        return self.of_values(probabilities, truth, weights)

    def of_answers(
        self,
        probabilities: FloatArray,
        answers: Truth,
        truth: Truth,
        weights: FloatArray | None = None,
    ) -> Gains:
        return self.of_values(probabilities, truth, weights)

    def of_probabilities(
        self,
        probabilities: FloatArray,
        rule: DecisionRule,
        truth: Truth,
        weights: FloatArray | None = None,
    ) -> FloatArray:
        return self.of_values(probabilities, truth, weights)

    @abstractmethod
    def of_values(
        self, prediction: FloatArray, truth: Truth, weights: FloatArray | None = None
    ) -> FloatArray:
        """Return the contribution of every image, shape (n,)."""


@dataclass(frozen=True)
class LabelLogLoss(ValueMetric):
    """How much of the negative log-likelihood of the labels' shares is gone.

    Of each image the mean over the labels that are known of it.
    """

    name: ClassVar[MetricName] = "log_loss"

    def of_values(
        self, prediction: FloatArray, truth: Truth, weights: FloatArray | None = None
    ) -> FloatArray:
        known = ~np.isnan(truth)
        share = _share(known, weights)
        base = _means(truth, known, weights)
        gained = known_mean(log_likelihoods(prediction, truth, tiny=TINY))
        unknowing = known_mean(
            log_likelihoods(np.broadcast_to(base, truth.shape), truth, tiny=TINY)
        )
        left = -float(share @ unknowing) or 1.0
        return _of_mean(1.0 + gained / left, share)


@dataclass(frozen=True)
class ExplainedVariance(ValueMetric):
    """R2: how much of the squared error of the mean is gone, on average over the columns."""

    name: ClassVar[MetricName] = "r2"

    def of_values(
        self, prediction: FloatArray, truth: Truth, weights: FloatArray | None = None
    ) -> FloatArray:
        known = ~np.isnan(truth)
        of_row = np.ones(len(truth)) if weights is None else weights
        cells = known * of_row[:, None]
        cells = cells / np.maximum(cells.sum(axis=0), TINY)
        filled = np.where(known, truth, 0.0)
        mean = (cells * filled).sum(axis=0)
        spread = (cells * np.square(filled - mean)).sum(axis=0)
        # a constant column is explained by its mean
        worth = np.where(spread > TINY * np.square(mean) + TINY**2, spread, np.inf)
        missed = np.where(known, np.square(prediction - filled), 0.0)
        each = (cells * missed / worth).mean(axis=1) * len(truth)
        found: FloatArray = 1.0 - each
        return found


def _means(truth: Truth, known: Truth, weights: FloatArray | None) -> FloatArray:
    """Return the weighted mean of what is known of every output, shape (k,)."""
    of_row = np.ones(len(truth)) if weights is None else weights
    cells = known * of_row[:, None]
    total = (cells * np.where(known, truth, 0.0)).sum(axis=0)
    found: FloatArray = total / np.maximum(cells.sum(axis=0), TINY)
    return found


def _share(known: Truth, weights: FloatArray | None) -> FloatArray:
    """Return the share of every image in the score: none where nothing is known of it."""
    something: FloatArray = known.any(axis=1) * (
        np.ones(len(known)) if weights is None else weights
    )
    found: FloatArray = something / max(float(something.sum()), TINY)
    return found


def _of_mean(values: FloatArray, share: FloatArray) -> FloatArray:
    """Return contributions to a mean by shares."""
    mean = float(share @ values)
    found: FloatArray = mean + share * len(values) * (values - mean)
    return found
