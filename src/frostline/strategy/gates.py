"""What need not be tried at all: asked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frostline.core.arrays import IntArray
from frostline.core.plan import EvidenceSummary
from frostline.core.reasons import FewPerClass, LittleToGain
from frostline.stats.intervals import paired_difference
from frostline.stats.metrics import Gains
from frostline.strategy.candidates.finetune_all import FIRMLY, GENTLY
from frostline.strategy.cases import counts_as_large
from frostline.strategy.thresholds import FITTED, Thresholds

_FEW_PER_CLASS = 10.0
#: a loss is often one error exactly, as where one row is lost and none won: no rounding decides
_LESS_THAN_ONE = 1.0 - 1e-9


def why_not_race(
    summary: EvidenceSummary, thresholds: Thresholds = FITTED
) -> FewPerClass | LittleToGain | None:
    """Return why no option that trains layers is worth a trial; None if one may be."""
    if summary.size.per_class < thresholds.fewest_per_class:
        return FewPerClass(per_class=summary.size.per_class)
    if summary.headroom < thresholds.good_enough:
        return LittleToGain(accuracy=1 - summary.headroom)
    return None


def makes_sense(summary: EvidenceSummary, strategy: str, name: str = "") -> bool:
    """Leave out what the evidence speaks against before anything runs.

    A shift that is not known speaks for nothing and against nothing.
    """
    if name == GENTLY:
        # in the study a lower rate never won where there was far to go, or little to learn from
        near = summary.shift.label in ("similar", "unknown")
        return counts_as_large(summary.size) and near
    if name == FIRMLY and summary.size.per_class < _FEW_PER_CLASS:
        # in the study high rates lost 9 points on average at 5 images a class
        return False
    if strategy == "cut":
        # a source so far that the highest layers may not serve; else a lower one has to do better
        if summary.shift.label == "different" and summary.best_below:
            return True
        lower = summary.best_tap == (summary.best_below or summary.best_tap)
        return summary.cut_gain > 0 and lower and summary.best_tap != summary.last_tap
    if strategy == "full":
        # a random head makes sense where the probe that replaces it is of little worth
        return counts_as_large(summary.size) or summary.shift.label == "different"
    return True


def simplest_of_the_best(
    gains: Sequence[Gains], groups: IntArray, thresholds: Thresholds = FITTED
) -> int:
    """Return the position of the first head that hardly loses to the best one.

    ``gains``, shape (n,): which rows each head gets right when they are left out, or what they
    contribute to another metric; the simplest head first. ``groups``, shape (n,): rows of one group
    succeed and fail together, so errors count groups.
    """
    best = max(gains, key=lambda gain: float(np.mean(gain)))
    for i, gain in enumerate(gains):
        loss, error = paired_difference(best, gain, groups=groups)
        if loss <= min(_LESS_THAN_ONE * error, thresholds.head_tie):
            return i
    return len(gains) - 1
