"""Each of several labels as a question of its own, with two answers: absent or present."""

from __future__ import annotations

from typing import Literal

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.stats.conformal import (
    LEVEL,
    PredictionSets,
    Scoring,
    TooFewCases,
    fewest_groups,
    fit_sets,
)

#: what is known of one label of one image
Presence = Literal["absent", "present", "either"]


def two_answers(probabilities: FloatArray) -> FloatArray:
    """Return how probable it is that a label is absent and present, shape (n, 2).

    ``probabilities``, shape (n,): of its being present.
    """
    return np.stack([1.0 - probabilities, probabilities], axis=1)


def fit_presence(
    probabilities: FloatArray,
    truth: IntArray,
    groups: IntArray,
    *,
    scoring: Scoring,
    level: float = LEVEL,
) -> PredictionSets | TooFewCases:
    """Find when a label is surely present, surely absent, or may be either.

    Images with the label are promised coverage by themselves, and so are those without it: else a
    label that few images have would be called absent everywhere and still be covered.

    ``probabilities``, shape (n, 2): as :func:`two_answers` gives them. ``truth``, shape (n,): 0 or
    1. ``groups``, shape (n,). The result: TooFewCases where either kind has fewer groups than the
    level needs.
    """
    needed = fewest_groups(level)
    found = min(len(np.unique(groups[truth == answer])) for answer in (0, 1))
    if found < needed:
        return TooFewCases(needed, found)
    return fit_sets(probabilities, truth, groups, scoring=scoring, level=level, own_groups=needed)


def presences(sets: BoolArray) -> list[Presence]:
    """Say what sets of shape (n, 2) leave open; a set is never empty."""
    return ["either" if lacks and has else "present" if has else "absent" for lacks, has in sets]
