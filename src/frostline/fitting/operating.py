"""From left-out probabilities: which classes an image may be of, and when to abstain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.operating_record import (
    AbstentionPoint,
    AbstentionScores,
    CasesNeeded,
    SetScores,
)
from frostline.data.problem import Problem
from frostline.stats.abstention import Abstention, NeverSure, fit_abstention
from frostline.stats.conformal import PredictionSets, Scoring, TooFewCases, fit_sets
from frostline.stats.decision_rule import DecisionRule
from frostline.stats.intervals import effective_count, wilson
from frostline.stats.metrics import class_shares

#: bounds on the share of wrong answers that a run tells of, beside the one that was asked for
BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class LeftOut:
    """Calibrated probabilities (n, C) of images that did not teach what gave them.

    ``rows``, shape (n,): of the catalog. ``scoring``: by the model itself, or by fits without each.
    """

    rows: IntArray
    probabilities: FloatArray
    scoring: Scoring


@dataclass(frozen=True)
class Operating:
    """What a model may be asked beside the answer itself; None where nothing was left out.

    ``shares``, shape (C,): those of the classes that its probabilities are calibrated for.
    """

    sets: PredictionSets | TooFewCases | None = None
    abstention: Abstention | None = None
    shares: tuple[float, ...] = ()

    @property
    def known_sets(self) -> PredictionSets | None:
        """The sets, where there are enough cases for them."""
        return self.sets if isinstance(self.sets, PredictionSets) else None

    def answered(
        self, probabilities: FloatArray, answers: IntArray, bounds: Sequence[float]
    ) -> BoolArray:
        """Return which images are answered under each bound on wrong answers, shape (n, k)."""
        found = np.zeros((len(answers), len(bounds)), dtype=bool)
        if self.abstention is None:
            return found
        confidence = probabilities[np.arange(len(answers)), answers]
        for place, bound in enumerate(bounds):
            least = self.abstention.thresholds(bound)
            if isinstance(least, np.ndarray):
                found[:, place] = confidence >= least[answers]
        return found


NOTHING = Operating()


@dataclass(frozen=True)
class Operated:
    """What sets and abstention made of images that judge, in the order of those.

    ``sets``, shape (n, C): None where there were too few cases for them. ``answered``, shape
    (n, k): which are answered under each of ``bounds``.
    """

    sets: BoolArray | None
    answered: BoolArray
    bounds: tuple[float, ...]


def fit_operating(
    problem: Problem, left_out: LeftOut, rule: DecisionRule, taught: IntArray
) -> Operating:
    """Learn sets and abstention from images that did not teach, where each has one class.

    ``taught``, shape (n,): rows that the classifier learned from.
    """
    if not problem.target.exclusive:
        return NOTHING
    seen = problem.labelled(taught)
    shares = class_shares(seen.truth, seen.weights, n_outputs=problem.target.n_outputs)
    known = tuple(map(float, shares))
    rows = left_out.rows
    if not len(rows):
        return Operating(shares=known)
    groups, told = problem.groups[rows], left_out.probabilities
    truth = np.asarray(problem.labels[rows], dtype=np.int64)
    sets = fit_sets(told, truth, groups, scoring=left_out.scoring)
    return Operating(sets, fit_abstention(told, truth, groups, rule.decide(told)), known)


def expected_answers(
    problem: Problem, operating: Operating, left_out: LeftOut, rule: DecisionRule, asked: float
) -> AbstentionPoint | None:
    """Return how many images are answered under a bound, by those that did not teach.

    None where the bound cannot be kept.
    """
    abstention, told = operating.abstention, left_out.probabilities
    if abstention is None or not isinstance(abstention.thresholds(asked), np.ndarray):
        return None
    answered = operating.answered(told, rule.decide(told), [asked])[:, 0]
    return AbstentionPoint(
        at_most_wrong=asked,
        answered=float(answered.mean()),
        answered_interval=_interval(answered, problem.groups[left_out.rows]),
    )


def operate(
    operating: Operating, probabilities: FloatArray, decided: Truth, asked: float | None
) -> Operated:
    """Apply sets and abstention to images that judge; ``asked``: a bound of the person's own."""
    bounds = tuple(sorted({*BOUNDS, *([] if asked is None else [asked])}))
    sets = operating.known_sets
    if operating.abstention is None:
        return Operated(None, np.zeros((len(decided), len(bounds)), dtype=bool), bounds)
    answers = np.asarray(decided, dtype=np.int64)
    return Operated(
        None if sets is None else sets.of(probabilities, answers),
        operating.answered(probabilities, answers, bounds),
        bounds,
    )


def joined(parts: Sequence[tuple[IntArray, Operated]], n: int) -> Operated:
    """Put the folds of a cross-validation together: each with the places of its images."""
    first = parts[0][1]
    each = [part.sets for _, part in parts]
    answered = np.zeros((n, len(first.bounds)), dtype=bool)
    sets = None
    if first.sets is not None and all(own is not None for own in each):
        sets = np.zeros((n, first.sets.shape[1]), dtype=bool)
    for places, part in parts:
        answered[places] = part.answered
        if sets is not None and part.sets is not None:
            sets[places] = part.sets
    return Operated(sets, answered, first.bounds)


def set_scores(
    operating: Operating, operated: Operated, truth: Truth, groups: IntArray
) -> SetScores | None:
    """Say what the sets rest on, and how often those of judged images held the truth."""
    found = operating.sets
    if found is None:
        return None
    if isinstance(found, TooFewCases):
        return SetScores(too_few=CasesNeeded(needed=found.needed, found=found.found))
    scores = SetScores(
        level=found.level,
        scoring=found.scoring,
        n_images=found.n_images,
        n_groups=found.n_groups,
        n_own=sum(found.own),
    )
    if operated.sets is None:
        return scores
    true = np.asarray(truth, dtype=np.int64)
    held = operated.sets[np.arange(len(true)), true]
    sizes = operated.sets.sum(axis=1)
    counts = np.bincount(true, minlength=found.n_outputs)
    by_class = np.bincount(true, weights=held, minlength=found.n_outputs)
    return scores.model_copy(
        update={
            "coverage": float(held.mean()),
            "coverage_interval": _interval(held, groups),
            "mean_size": float(sizes.mean()),
            "sizes": tuple(np.bincount(sizes).tolist()),
            "class_coverage": tuple(
                float(k / n) if n else None for k, n in zip(by_class, counts, strict=True)
            ),
        }
    )


def abstention_scores(
    operating: Operating,
    operated: Operated,
    right: BoolArray,
    groups: IntArray,
    *,
    asked: float | None,
) -> AbstentionScores | None:
    """Say how many judged images are answered under each bound, and how many of them wrongly."""
    abstention = operating.abstention
    if abstention is None:
        return None
    points = [
        _point(bound, operated.answered[:, place], right, groups)
        for place, bound in enumerate(operated.bounds)
        if isinstance(abstention.thresholds(bound), np.ndarray)
    ]
    scores = AbstentionScores(
        curve=tuple(points), n_groups=abstention.together.n_groups, at_most_wrong=asked
    )
    if asked is None:
        return scores
    least = abstention.thresholds(asked)
    if isinstance(least, TooFewCases):
        needed = CasesNeeded(needed=least.needed, found=least.found)
        return scores.model_copy(update={"too_few": needed})
    if isinstance(least, NeverSure):
        return scores.model_copy(update={"lowest": least.lowest})
    return scores.model_copy(update={"chosen": next(p for p in points if p.at_most_wrong == asked)})


def _point(
    bound: float, answered: BoolArray, right: BoolArray, groups: IntArray
) -> AbstentionPoint:
    point = AbstentionPoint(
        at_most_wrong=bound,
        answered=float(answered.mean()),
        answered_interval=_interval(answered, groups),
    )
    if not answered.any():
        return point
    wrong = ~right[answered]
    return point.model_copy(
        update={
            "wrong": float(wrong.mean()),
            "wrong_interval": _interval(wrong, groups[answered]),
        }
    )


def _interval(outcome: BoolArray, groups: IntArray) -> tuple[float, float]:
    """95 % around a share of images, some of which belong together."""
    count = effective_count(outcome, groups)
    return wilson(float(outcome.mean()) * count, count)
