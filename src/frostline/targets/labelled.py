"""What is known of some images: the truth, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.stats.metrics import ACCURACY, Judge, Metric, class_shares
from frostline.stats.target_matrix import TargetMatrix
from frostline.targets.protocol import Target


@dataclass(frozen=True)
class Labelled:
    """The truth about n images that something is fitted to or judged by.

    Attributes
    ----------
    truth : int64 ndarray of shape (n,)
    groups : int64 ndarray of shape (n,)
        Images of one number are left out together, and succeed and fail together.
    weights : float64 ndarray of shape (n,) or None, default=None
        How much each image counts in a fit; None counts all alike.
    metric : Metric, default=ACCURACY
        What predictions are to make as high as possible.
    """

    target: Target
    truth: IntArray
    groups: IntArray
    weights: FloatArray | None = None
    metric: Metric = ACCURACY

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, rows: IntArray | BoolArray | slice) -> Labelled:
        weights = None if self.weights is None else self.weights[rows]
        return Labelled(self.target, self.truth[rows], self.groups[rows], weights, self.metric)

    @property
    def matrix(self) -> TargetMatrix:
        """What closed-form fits aim at, shape (n, k)."""
        return self.target.matrix(self.truth)

    def judge(self, left_out: FloatArray) -> Judge:
        """Return what judges predictions for these images.

        ``left_out``, shape (n, k): calibrated, by fits without each image; the rule by which
        classes follow is chosen on them.
        """
        shares = class_shares(self.truth, self.weights, n_outputs=self.target.n_outputs)
        return Judge(self.metric, self.metric.rule(left_out, self.truth, shares), self.truth)
