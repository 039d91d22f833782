"""Every score of predictions of several labels for each image, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.co_occurrence import Pair, SetMistake, label_pairs, set_mistakes
from frostline.stats.intervals import effective_count, wilson
from frostline.stats.label_curves import precision_recall
from frostline.stats.label_ranking import area_under_roc
from frostline.stats.label_thresholds import HALF
from frostline.stats.precision_intervals import mean_average_precision
from frostline.stats.reliability import calibration_error, chance_calibration_error, reliability
from frostline.stats.score_intervals import (
    NOWHERE,
    Interval,
    bounded_interval,
    group_numbers,
    mean_of_scores,
    plain,
)

#: classes whose curve is kept, the most frequent ones
_CURVES = 60
# probabilities are kept this far from 0 in logarithms, as scikit-learn does
_TINY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class LabelScores:
    """Scores of one class; NaN where undefined. Images whose label is unknown play no part.

    Attributes
    ----------
    known, positives : int
        Images whose label is known, and those that have it.
    average_precision, area_under_roc : float
        How well the probabilities rank the images; NaN without a positive (or without a negative).
    precision, recall, f1 : float
        Of the images that the label is given to at ``threshold``.
    ece, ece_by_chance : float
        Expected calibration error, and what exactly right probabilities would show.
    curve : tuple of (recall, precision)
        A few points of the curve; of the 60 most frequent classes only.
    """

    known: int
    positives: int
    average_precision: float
    average_precision_interval: Interval
    area_under_roc: float
    area_under_roc_interval: Interval
    threshold: float
    precision: float
    recall: float
    f1: float
    ece: float
    ece_by_chance: float
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class MultiLabelScores:
    """Scores of probabilities (n, C) against labels; all lie in [0, 1], intervals are of 95 %.

    Attributes
    ----------
    n, n_known : int
        Images, and pairs of an image and a class whose label is known.
    mean_average_precision : float
        Mean over the classes that have a positive; NaN if none has.
    micro_f1 : float
        F1 of all pairs of an image and a class together.
    macro_f1 : float
        Mean over the classes that have a positive.
    exact_match : float
        Share of images all whose known labels are right.
    nll, brier : float
        Mean negative log-likelihood in nats, and mean squared error, of the known pairs.
    ece : float
        Mean expected calibration error over the classes.
    per_class : tuple of LabelScores
    pairs : tuple of Pair
        Labels that come together far more or less often than by chance.
    mistakes : tuple of SetMistake
        The most frequent ways in which sets of labels are mistaken.
    """

    n: int
    n_known: int
    mean_average_precision: float
    mean_average_precision_interval: Interval
    micro_f1: float
    micro_f1_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    exact_match: float
    exact_match_interval: Interval
    nll: float
    brier: float
    ece: float
    per_class: tuple[LabelScores, ...]
    pairs: tuple[Pair, ...] = ()
    mistakes: tuple[SetMistake, ...] = ()

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return plain JSON types, classes by name, None where a score is undefined.

        Raises InputError if the number of names is not the number of classes.
        """
        if len(classes) != len(self.per_class):
            raise InputError(
                f"There are {len(self.per_class)} classes but {len(classes)} class names."
            )
        rows = zip(classes, self.per_class, strict=True)
        named = ("per_class", "pairs", "mistakes")
        return {
            **{name: plain(value) for name, value in vars(self).items() if name not in named},
            "pairs": [
                {
                    "labels": [classes[one.first], classes[one.second]],
                    "images": one.images,
                    "expected": one.expected,
                }
                for one in self.pairs
            ],
            "mistakes": [
                {
                    "missed": [classes[c] for c in one.missed],
                    "added": [classes[c] for c in one.added],
                    "images": one.images,
                }
                for one in self.mistakes
            ],
            "per_class": [
                {"class": name, **{key: plain(value) for key, value in vars(one).items()}}
                for name, one in rows
            ],
        }


def score_labels(
    probabilities: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    thresholds: npt.ArrayLike | None = None,
    decided: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
) -> MultiLabelScores:
    """Score probabilities of labels, class by class and together.

    Raises InputError if there is no image, the shapes do not fit, a probability lies outside
    [0, 1], or the truth is something else than 0, 1 and NaN.

    Parameters
    ----------
    probabilities, truth : array of shape (n, C)
        ``truth`` is 1 and 0, and NaN where it is not known.
    thresholds : array of shape (C,) or None, default=None
        A label is given from this probability on; 0.5 for None.
    decided : array of shape (n, C) or None, default=None
        Labels that were given, 1 and 0, in place of thresholds, which are then unknown.
    groups : int array of shape (n,) or None, default=None
        Images of one group succeed and fail together, so they count for less.
    """
    p, y = _checked(probabilities, truth)
    n, n_classes = p.shape
    limits = np.full(n_classes, HALF) if thresholds is None else np.asarray(thresholds, np.float64)
    if limits.shape != (n_classes,):
        raise InputError(f"Expected {n_classes} thresholds, not shape {limits.shape}.")
    codes = group_numbers(groups, n)
    known, positive, called = ~np.isnan(y), y > HALF, p >= limits
    if decided is not None:
        called, limits = np.asarray(decided) > HALF, np.full(n_classes, math.nan)
    called &= known
    each = [
        _one_class(p[:, c], called[:, c], positive[:, c], known[:, c], limits[c], codes)
        for c in range(n_classes)
    ]
    frequent = np.argsort(-positive.sum(axis=0), kind="stable")[:_CURVES]
    for c in frequent.tolist():
        rows = known[:, c]
        curve = precision_recall(p[rows, c], positive[rows, c])
        each[c] = replace(each[c], curve=tuple(curve))
    right = (called == positive).all(axis=1, where=known)
    worth = effective_count(right, codes)
    sure = np.where(positive, p, 1.0 - p)[known]
    eces = [one.ece for one in each if one.known]
    return MultiLabelScores(
        n,
        int(known.sum()),
        *mean_average_precision(p, positive, known, codes),
        *_micro_f1(called, positive, codes),
        *_macro_f1(called, positive, codes),
        float(right.mean()),
        wilson(float(right.mean()) * worth, worth),
        nll=float(-np.log(np.maximum(sure, _TINY)).mean()) if len(sure) else math.nan,
        brier=float(((1.0 - sure) ** 2).mean()) if len(sure) else math.nan,
        ece=float(np.mean(eces)) if eces else math.nan,
        per_class=tuple(each),
        pairs=tuple(label_pairs(y)),
        mistakes=tuple(set_mistakes(called, y)),
    )


def _one_class(
    p: FloatArray,
    called: BoolArray,
    positive: BoolArray,
    known: BoolArray,
    threshold: float,
    codes: IntArray,
) -> LabelScores:
    p, called, positive, codes = p[known], called[known], positive[known], codes[known]
    everywhere = np.ones((len(p), 1), dtype=bool)
    precise = mean_average_precision(p[:, None], positive[:, None], everywhere, codes)
    area, area_pull = area_under_roc(p, positive)
    with_it, without = _n_groups(codes, positive), _n_groups(codes, ~positive)
    hits, n_called, n_positive = (int(a.sum()) for a in (called & positive, called, positive))
    return LabelScores(
        len(p),
        n_positive,
        *precise,
        area,
        _around(area, area_pull, codes, min(with_it, without)),
        float(threshold),
        hits / n_called if n_called else math.nan,
        hits / n_positive if n_positive else math.nan,
        2 * hits / (n_called + n_positive) if n_called + n_positive else math.nan,
        calibration_error(reliability(p, positive)) if len(p) else math.nan,
        chance_calibration_error(p) if len(p) else math.nan,
    )


def _macro_f1(called: BoolArray, positive: BoolArray, codes: IntArray) -> tuple[float, Interval]:
    occurring = np.flatnonzero(positive.any(axis=0))
    scores, pull = np.empty(len(occurring)), np.zeros(len(called))
    for i, c in enumerate(occurring):
        scores[i], own = f1_score(called[:, c] & positive[:, c], called[:, c], positive[:, c])
        pull += own
    return _over_classes(scores, pull, positive[:, occurring], codes)


def _micro_f1(called: BoolArray, positive: BoolArray, codes: IntArray) -> tuple[float, Interval]:
    hits, n_called, n_positive = (a.sum(axis=1) for a in (called & positive, called, positive))
    score, pull = f1_score(hits, n_called, n_positive)
    return score, _around(score, pull, codes, _n_groups(codes, n_called + n_positive > 0))


def f1_score(
    hits: npt.NDArray[Any], called: npt.NDArray[Any], positive: npt.NDArray[Any]
) -> tuple[float, FloatArray]:
    """Return F1 and the influence of every image; each counts some hits, calls and positives."""
    both = called.astype(np.float64) + positive
    total = float(both.sum())
    if not total:
        return math.nan, np.zeros(len(both))
    score = 2.0 * float(hits.sum()) / total
    return score, np.asarray((2.0 * hits - score * both) / total, dtype=np.float64)


def _over_classes(
    scores: FloatArray, pull: FloatArray, positive: BoolArray, codes: IntArray
) -> tuple[float, Interval]:
    """Return the mean over classes of scores whose influences were added up."""
    if not len(scores):
        return math.nan, NOWHERE
    score = float(scores.mean())
    n_independent = _n_groups(codes, np.any(positive, axis=1))
    found = _around(score, pull / len(scores), codes, n_independent)
    counts = np.array([_n_groups(codes, own) for own in positive.T], dtype=np.float64)
    return score, mean_of_scores(found, score, scores, counts)


def _around(score: float, pull: FloatArray, codes: IntArray, n_independent: int) -> Interval:
    if math.isnan(score):
        return NOWHERE
    return bounded_interval(score + len(pull) * pull, codes, n_independent=n_independent)


def _n_groups(codes: IntArray, chosen: BoolArray) -> int:
    return len(np.unique(codes[chosen]))


def _checked(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if p.ndim != 2 or 0 in p.shape or y.shape != p.shape:
        raise InputError(
            f"Cannot score probabilities of shape {p.shape} on labels of shape {y.shape}: at least "
            "one image and one class are needed, and one label for each pair of them."
        )
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1 + 1e-9):
        raise InputError("Probabilities must lie between 0 and 1.")
    if not np.all((y == 0) | (y == 1) | np.isnan(y)):
        raise InputError("Labels must be 0 or 1, or NaN where they are not known.")
    return np.minimum(p, 1.0), y
