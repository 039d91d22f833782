"""Every score of predictions of ordered levels that asks how far off they are, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.inputs import check_labels
from frostline.stats.intervals import effective_count, wilson
from frostline.stats.score_intervals import (
    NOWHERE,
    Interval,
    bounded_interval,
    group_numbers,
    plain,
)


@dataclass(frozen=True)
class OrdinalScores:
    """Scores of probabilities and answered levels against the truth; intervals are of 95 %.

    Attributes
    ----------
    qwk : float
        Kappa of Cohen (1968) with quadratic weights, in [-1, 1]: 1 for perfect answers, 0 for
        answers by chance; NaN where truth and answers are one and the same level throughout.
    mae : float
        Mean distance of the answer from the truth, in levels: in [0, C - 1].
    rps : float
        Ranked probability score of Epstein (1969), by the number of steps: in [0, 1], 0 at best.
    within_one : float
        Share of answers that are at most one level off.
    """

    n: int
    qwk: float
    qwk_interval: Interval
    mae: float
    mae_interval: Interval
    rps: float
    rps_interval: Interval
    within_one: float
    within_one_interval: Interval

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, None where a score is undefined."""
        return {name: plain(value) for name, value in vars(self).items()}


def score_levels(
    probabilities: npt.ArrayLike,
    levels: npt.ArrayLike,
    *,
    answers: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
) -> OrdinalScores:
    """Score probabilities of ordered levels, and the level that is answered.

    Raises InputError if there is no image, the shapes do not fit, a level is out of range, or rows
    are not probabilities (to 0.001).

    Parameters
    ----------
    probabilities : array of shape (n, C)
        At least two levels, the lowest first.
    levels : int array of shape (n,)
        True levels, in [0, C).
    answers : int array of shape (n,) or None, default=None
        Levels that were answered; the median ones for None.
    groups : int array of shape (n,) or None, default=None
        Images of one group succeed and fail together, so they count for less.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or len(p) < 1 or p.shape[1] < 2:
        raise InputError(
            f"Cannot score probabilities of shape {p.shape}: at least one image and two levels are "
            "needed."
        )
    total = p.sum(axis=1, keepdims=True)
    if not np.all(np.abs(total - 1.0) <= 1e-3) or p.min() < 0:
        raise InputError("Probabilities must be at least 0 and sum to 1 for every image.")
    n, n_levels = p.shape
    y = check_labels(levels, n_rows=n, n_classes=n_levels)
    guess = median_levels(p) if answers is None else answers
    guess = check_labels(guess, n_rows=n, n_classes=n_levels)
    codes = group_numbers(groups, n)
    n_groups = len(np.unique(codes))
    off = np.abs(guess - y).astype(np.float64)
    within = off <= 1
    worth = effective_count(within, codes)
    ranked = _ranked(p / total, y)
    return OrdinalScores(
        n,
        *quadratic_kappa(y, guess, codes),
        mae=float(off.mean()),
        mae_interval=bounded_interval(
            off, codes, n_independent=n_groups, ends=(0.0, n_levels - 1.0)
        ),
        rps=float(ranked.mean()),
        rps_interval=bounded_interval(ranked, codes, n_independent=n_groups),
        within_one=float(within.mean()),
        within_one_interval=wilson(float(within.mean()) * worth, worth),
    )


def median_levels(probabilities: FloatArray) -> IntArray:
    """Return the first level up to which half of the probability lies, shape (n,).

    No other answer has a lower expected distance from the truth. ``probabilities``: shape (n, C).
    """
    p = np.asarray(probabilities, dtype=np.float64)
    so_far = np.cumsum(p, axis=1)
    # half of what there is, so that rounding at the last level never matters
    found: IntArray = (so_far < 0.5 * so_far[:, -1:] - 1e-12).sum(axis=1).astype(np.int64)
    return found


def quadratic_kappa(
    truth: IntArray, answers: IntArray, groups: npt.ArrayLike
) -> tuple[float, Interval]:
    """Return Cohen's kappa with quadratic weights, and its interval of 95 %.

    ``truth``, ``answers``, ``groups``: shape (n,).
    """
    contributions = kappa_contributions(truth, answers)
    if contributions is None:
        return math.nan, NOWHERE
    score, each = contributions
    n_independent = len(np.unique(groups))
    return score, bounded_interval(each, groups, n_independent=n_independent, ends=(-1.0, 1.0))


def kappa_contributions(
    truth: IntArray, answers: IntArray, weights: FloatArray | None = None
) -> tuple[float, FloatArray] | None:
    """Return Cohen's kappa with quadratic weights, and what every image contributes, shape (n,).

    One minus the mean squared distance of answers from the truth, by that of answers from the
    truth about *other* images. None where truth and answers are one and the same level throughout.
    ``weights``, shape (n,): of the images; None counts all alike.
    """
    share = np.ones(len(truth)) if weights is None else weights * (len(truth) / weights.sum())
    a, b = truth.astype(np.float64), answers.astype(np.float64)
    middle_a, middle_b = float((share * a).mean()), float((share * b).mean())
    from_a, from_b, apart = a - middle_a, b - middle_b, middle_b - middle_a
    observed = float((share * (a - b) ** 2).mean())
    expected = float((share * from_a**2).mean() + (share * from_b**2).mean() + apart**2)
    if not expected:
        return None
    score = 1.0 - observed / expected
    more_observed = share * ((a - b) ** 2 - observed)
    more_expected = from_a**2 + from_b**2 + 2.0 * apart * (from_b - from_a)
    more_expected = share * (more_expected - (share * more_expected).mean())
    pull = (observed / expected * more_expected - more_observed) / expected
    return score, np.asarray(score + pull, dtype=np.float64)


def _ranked(p: FloatArray, truth: IntArray) -> FloatArray:
    """Return the mean squared distance of cumulative probabilities from the truth, shape (n,)."""
    n_levels = p.shape[1]
    reached = (truth[:, None] <= np.arange(n_levels - 1)).astype(np.float64)
    found: FloatArray = ((np.cumsum(p, axis=1)[:, :-1] - reached) ** 2).mean(axis=1)
    return found
