"""Answers that hold the truth as often as they promise, from images that did not teach the model.

Conformal prediction (Vovk, Gammerman and Shafer 2005) asks one thing alone: that a new image comes
from where the left-out ones came from. The probabilities need not be right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError

#: share of new images whose set should hold the truth
LEVEL = 0.95
#: a class with so many groups has a threshold of its own; fewer would often make it useless, as
#: one mislabelled image of twenty puts the class into every set
OWN_GROUPS = 100
#: scores of sums of shares are compared with this much room for rounding
_ROUNDING = 1e-9

#: how the left-out images were scored: by the model itself, or each by a fit without it
Scoring = Literal["split", "cross"]


@dataclass(frozen=True)
class TooFewCases:
    """Fewer independent cases than a promise needs: ``found`` of at least ``needed`` groups."""

    needed: int
    found: int


def fewest_groups(level: float = LEVEL) -> int:
    """Return how many groups a promise takes at least: 19 for 0.95, 99 for 0.99."""
    if not 0.0 < level < 1.0:
        raise InputError(f"The level must lie between 0 and 1, not {level}.")
    return math.ceil(level / (1.0 - level) - _ROUNDING)


def conformal_threshold(
    scores: npt.ArrayLike, groups: npt.ArrayLike, *, level: float = LEVEL
) -> float | TooFewCases:
    """Return what the score of a new image stays at or below with a probability of ``level``.

    Where every image is a group of its own this is the ``ceil(level * (n + 1))``-th smallest of n
    scores. Images of one group are no independent cases, so each group counts as one that is
    shared among its images, and the next group as one whose scores could be anything (Lee, Barber
    and Willett 2023, "Distribution-free inference with hierarchical data"). Scores may be anything
    that grows with how far a prediction is from the truth: one minus a probability, or the
    residual of a number. Raises InputError if shapes differ or a score is not finite.

    ``scores``, shape (n,): of images that did not teach what scored them. ``groups``, shape (n,).
    ``level``: in (0, 1). The result: TooFewCases below ``level / (1 - level)`` groups, where no
    finite number could promise so much.
    """
    values = np.asarray(scores, dtype=np.float64)
    codes, n_groups = _codes(groups, values.shape)
    needed = fewest_groups(level)
    if n_groups < needed:
        return TooFewCases(needed, n_groups)
    if not np.all(np.isfinite(values)):
        raise InputError("Conformal scores must be finite numbers.")
    order = np.argsort(values, kind="stable")
    counted = np.cumsum(_case_weights(codes)[order])
    place = int(np.searchsorted(counted, level * (n_groups + 1) - _ROUNDING))
    return float(values[order[min(place, len(values) - 1)]])


@dataclass(frozen=True)
class PredictionSets:
    """Which classes an image may be of: those that are at least as probable as their threshold.

    Attributes
    ----------
    thresholds : tuple of float
        One a class, each exact in single precision, so that every engine finds the same sets.
    own : tuple of bool
        Which classes have a threshold of their own; the others share one.
    scoring : {"split", "cross"}
        ``split``: images that no fit has learned from were scored by the model itself. ``cross``:
        each by a fit without it.
    n_images, n_groups : int
        What the thresholds rest on.
    level : float, default=0.95
        Share of new images whose set should hold the truth.
    """

    thresholds: tuple[float, ...]
    own: tuple[bool, ...]
    scoring: Scoring
    n_images: int
    n_groups: int
    level: float = LEVEL

    def __post_init__(self) -> None:
        if len(self.own) != len(self.thresholds):
            raise InputError("Prediction sets need one threshold for every class.")
        if not np.all(np.isfinite(self.thresholds)):
            raise InputError("The thresholds of prediction sets must be finite numbers.")

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return len(self.thresholds)

    def of(self, probabilities: FloatArray, answers: IntArray) -> BoolArray:
        """Return which classes belong to the set of each image, shape (n, C).

        The answer always does, so no set is empty.

        ``probabilities``: shape (n, C). ``answers``, shape (n,): classes that are answered.
        """
        found = self.conforming(probabilities)
        found[np.arange(len(answers)), answers] = True
        return found

    def conforming(self, probabilities: FloatArray) -> BoolArray:
        """Return the sets of :meth:`of` without answers that do not conform; some are empty."""
        found: BoolArray = probabilities >= np.array(self.thresholds)
        return found


def fit_sets(
    probabilities: FloatArray,
    truth: IntArray,
    groups: IntArray,
    *,
    scoring: Scoring,
    level: float = LEVEL,
    own_groups: int = OWN_GROUPS,
) -> PredictionSets | TooFewCases:
    """Find thresholds by which sets hold the truth of new images as often as ``level`` says.

    An image conforms to a class as far as the class is probable (Sadinle, Lei and Wasserman 2019,
    "Least ambiguous set-valued classifiers"). A class with enough groups is promised its own
    coverage, whatever its share among new images; the others are promised it together.

    ``probabilities``, shape (n, C), ``truth`` and ``groups``, shape (n,): of images that did not
    teach what scored them. ``own_groups``: groups from which on a class stands for itself. The
    result: TooFewCases where all classes together have fewer groups than the level needs.
    """
    n_outputs = probabilities.shape[1]
    taxonomy = _taxonomy(truth, groups, n_outputs, level=level, own_groups=own_groups)
    if isinstance(taxonomy, TooFewCases):
        return taxonomy
    scores = -probabilities[np.arange(len(truth)), truth]
    thresholds = np.zeros(n_outputs)
    for category in np.unique(taxonomy):
        classes = taxonomy == category
        rows = classes[truth]
        found = conformal_threshold(scores[rows], groups[rows], level=level)
        if isinstance(found, TooFewCases):
            return found
        thresholds[classes] = _single_precision(-found)
    return PredictionSets(
        thresholds=tuple(thresholds.tolist()),
        own=tuple((taxonomy >= 0).tolist()),
        scoring=scoring,
        n_images=len(truth),
        n_groups=len(np.unique(groups)),
        level=level,
    )


def _taxonomy(
    truth: IntArray, groups: IntArray, n_outputs: int, *, level: float, own_groups: int
) -> IntArray | TooFewCases:
    """Return the category of each class, shape (C,): its own number, or -1 for those that share.

    Classes that share are at least as many groups as the level needs: where the rare ones are not,
    the smallest of the others join them.
    """
    needed = fewest_groups(level)
    total = len(np.unique(groups))
    if total < needed:
        return TooFewCases(needed, total)
    pairs = np.unique(np.stack([truth, groups]), axis=1)
    counts = np.bincount(pairs[0], minlength=n_outputs)
    taxonomy = np.where(counts >= max(own_groups, needed), np.arange(n_outputs), -1)
    for smallest in np.argsort(counts, kind="stable"):
        sharing = (taxonomy < 0)[truth]
        if not (taxonomy < 0).any() or len(np.unique(groups[sharing])) >= needed:
            break
        taxonomy[smallest] = -1
    return taxonomy


def _codes(groups: npt.ArrayLike, shape: tuple[int, ...]) -> tuple[IntArray, int]:
    values = np.asarray(groups)
    if len(shape) != 1 or values.shape != shape:
        raise InputError(f"Expected one group for each score, not shapes {shape}, {values.shape}.")
    found, codes = np.unique(values, return_inverse=True)
    return codes, len(found)


def _case_weights(codes: IntArray) -> FloatArray:
    """How much of its group each image is, shape (n,)."""
    weights: FloatArray = 1.0 / np.bincount(codes)[codes]
    return weights


def _single_precision(threshold: float) -> float:
    """Return the largest number of single precision that is not above a threshold."""
    rounded = np.float32(threshold)
    if float(rounded) > threshold:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)
