"""What is known of some images: the truth, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.stats.metrics import ACCURACY, Judge, Metric
from frostline.stats.target_matrix import TargetMatrix
from frostline.targets.protocol import Target


@dataclass(frozen=True)
class Labelled:
    """The truth about n images that something is fitted to or judged by.

    Attributes
    ----------
    truth : ndarray of shape (n,) or (n, k)
        As the target encodes it.
    groups : int64 ndarray of shape (n,)
        Images of one number are left out together, and succeed and fail together.
    weights : float64 ndarray of shape (n,) or None, default=None
        How much each image counts in a fit; None counts all alike.
    metric : Metric, default=ACCURACY
        What predictions are to make as high as possible.
    image_weights : float64 ndarray of shape (n,) or None, default=None
        How much each image counts in scores, whatever its class; None counts all alike.
    """

    target: Target
    truth: Truth
    groups: IntArray
    weights: FloatArray | None = None
    metric: Metric = ACCURACY
    image_weights: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, rows: IntArray | BoolArray | slice) -> Labelled:
        each = (self.weights, self.image_weights)
        weights, own = (None if one is None else one[rows] for one in each)
        truth, groups = self.truth[rows], self.groups[rows]
        return Labelled(self.target, truth, groups, weights, self.metric, own)

    @property
    def plain(self) -> bool:
        """Whether the score is how many images have their own as the likeliest class."""
        return self.metric.plain and self.image_weights is None

    @property
    def matrix(self) -> TargetMatrix:
        """What closed-form fits aim at, shape (n, k)."""
        return self.target.matrix(self.truth)

    def judge(self, left_out: FloatArray) -> Judge:
        """Return what judges predictions for these images.

        ``left_out``, shape (n, k): calibrated, by fits without each image; the rule by which
        classes follow is chosen on them.
        """
        rule = self.target.rule(self.metric, left_out, self.truth, (self.truth, self.weights))
        return Judge(self.metric, rule, self.truth, self.image_weights)

    def calibrate(self, outputs: FloatArray) -> float:
        """Return the temperature that suits outputs (n, k) for these images best."""
        return self.target.calibrate(outputs, self.truth, self.image_weights)

    def calibrated(self, outputs: FloatArray) -> FloatArray:
        """Return predictions (n, k) out of closed-form outputs by fits without each image."""
        rescaling = self.target.rescaling(outputs, self.truth, self.image_weights)
        suited = outputs if rescaling is None else rescaling.apply(outputs)
        return self.target.link(suited, self.calibrate(suited))

    def squared_error(self, predicted: FloatArray) -> float:
        """Return the mean squared error of predictions (n, k) over what is known."""
        matrix = self.matrix
        error = matrix.rows(slice(0, len(self))) - predicted
        if matrix.scale is not None:
            error = error / matrix.scale
        known = True if matrix.unknown is None else ~matrix.unknown
        return float(np.mean(error**2, where=known))


def product(first: FloatArray | None, second: FloatArray | None) -> FloatArray | None:
    """Return weights (n,) that are both; None where neither is given."""
    if first is None or second is None:
        return second if first is None else first
    return first * second
