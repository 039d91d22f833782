"""Precision against recall of one label, in few enough points to draw."""

from __future__ import annotations

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray

#: points of a curve that is kept
POINTS = 41


def precision_recall(
    scores: FloatArray, positive: BoolArray, *, points: int = POINTS
) -> list[tuple[float, float]]:
    """Return (recall, precision) at about equal steps of recall, the strictest threshold first.

    Each point is one of the true curve: some threshold has it. Empty without a positive.

    ``scores``, ``positive``: shape (n,).
    """
    n_positive = int(positive.sum())
    if not n_positive:
        return []
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    # equal scores come in at once
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    recall, precision = hits[ends] / n_positive, hits[ends] / (ends + 1)
    wanted = np.linspace(0.0, 1.0, points)
    at = np.unique(np.searchsorted(recall, wanted, side="left").clip(max=len(ends) - 1))
    return [(float(recall[i]), float(precision[i])) for i in at]
