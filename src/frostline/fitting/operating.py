"""From left-out predictions: which answers an image may have, and when to abstain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.data.problem import Problem
from frostline.model_format.card import ModelCard
from frostline.stats.abstention import Abstention, fit_abstention
from frostline.stats.conformal import PredictionSets, Scoring, TooFewCases, fit_sets
from frostline.stats.decision_rule import DecisionRule
from frostline.stats.metrics import class_shares
from frostline.stats.number_intervals import NumberIntervals, fit_intervals
from frostline.stats.presence import fit_presence, two_answers

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
    ``intervals``: around predicted numbers. ``labels``: where an image may have several, what may
    be asked of each, with the two answers absent and present.
    """

    sets: PredictionSets | TooFewCases | None = None
    abstention: Abstention | None = None
    shares: tuple[float, ...] = ()
    intervals: NumberIntervals | None = None
    labels: tuple[Operating, ...] = ()

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


def operating_of(card: ModelCard) -> Operating:
    """Return what a saved model may be asked beside the answer itself."""
    each = zip(card.label_sets, card.label_abstention, strict=True)
    labels = tuple(Operating(sets, abstention) for sets, abstention in each)
    return Operating(card.sets, card.abstention, card.shares, card.intervals, labels)


@dataclass(frozen=True)
class Operated:
    """What sets and abstention made of images that judge, in the order of those.

    ``sets``, shape (n, C): None where there were too few cases for them. ``answered``, shape
    (n, k): which are answered under each of ``bounds``. ``intervals``, shape (n, k, 2): ends around
    predicted numbers. ``labels``: the same of each of several labels.
    """

    sets: BoolArray | None
    answered: BoolArray
    bounds: tuple[float, ...]
    intervals: FloatArray | None = None
    labels: tuple[Operated, ...] = ()


def fit_operating(
    problem: Problem, left_out: LeftOut, rule: DecisionRule, learned_from: IntArray
) -> Operating:
    """Learn sets, intervals and abstention from images that did not teach.

    ``learned_from``, shape (n,): rows that the classifier learned from.
    """
    target, rows = problem.target, left_out.rows
    truth, groups = problem.labels[rows], problem.groups[rows]
    told, scoring = left_out.probabilities, left_out.scoring
    if not target.exclusive:
        if not len(rows):
            return NOTHING
        if target.link_name == "identity":
            return Operating(intervals=fit_intervals(told, truth, groups, scoring=scoring))
        answers = target.decide(told, rule)
        each = zip(told.T, truth.T, answers.T, strict=True)
        return Operating(labels=tuple(_of_label(*one, groups, scoring) for one in each))
    seen = problem.labelled(learned_from)
    shares = class_shares(seen.truth, seen.weights, n_outputs=target.n_outputs)
    known = tuple(map(float, shares))
    if not len(rows):
        return Operating(shares=known)
    labels = np.asarray(truth, dtype=np.int64)
    sets = fit_sets(told, labels, groups, scoring=scoring)
    return Operating(sets, fit_abstention(told, labels, groups, rule.decide(told)), known)


def _of_label(
    probabilities: FloatArray, truth: Truth, answers: Truth, groups: IntArray, scoring: Scoring
) -> Operating:
    """Learn of one label when it is surely there or not, by images of which that is known."""
    known = ~np.isnan(truth)
    if not known.any():
        return NOTHING
    told, labels = two_answers(probabilities[known]), truth[known].astype(np.int64)
    return Operating(
        fit_presence(told, labels, groups[known], scoring=scoring),
        fit_abstention(told, labels, groups[known], answers[known].astype(np.int64)),
    )


def operate(
    operating: Operating, probabilities: FloatArray, decided: Truth, asked: float | None
) -> Operated:
    """Apply sets and abstention to images that judge; ``asked``: a bound of the person's own."""
    bounds = tuple(sorted({*BOUNDS, *([] if asked is None else [asked])}))
    sets = operating.known_sets
    if operating.abstention is None:
        nothing = np.zeros((len(decided), len(bounds)), dtype=bool)
        ends = None if operating.intervals is None else operating.intervals.of(probabilities)
        each = zip(operating.labels, probabilities.T, decided.T, strict=False)
        labels = [operate(one, two_answers(p), answers, asked) for one, p, answers in each]
        return Operated(None, nothing, bounds, ends, tuple(labels))
    answers = np.asarray(decided, dtype=np.int64)
    return Operated(
        None if sets is None else sets.of(probabilities, answers),
        operating.answered(probabilities, answers, bounds),
        bounds,
    )


def joined(parts: Sequence[tuple[IntArray, Operated]], n: int) -> Operated:
    """Put the folds of a cross-validation together: each with the places of its images."""
    first = parts[0][1]
    answered = np.zeros((n, len(first.bounds)), dtype=bool)
    for places, part in parts:
        answered[places] = part.answered
    labels = zip(*([(places, one) for one in part.labels] for places, part in parts), strict=False)
    return Operated(
        _together([(places, part.sets) for places, part in parts], n),
        answered,
        first.bounds,
        _together([(places, part.intervals) for places, part in parts], n),
        tuple(joined(each, n) for each in labels),
    )


def _together(parts: Sequence[tuple[IntArray, Any]], n: int) -> Any:
    """Put arrays of all folds into one of n rows; None where a fold has none."""
    first = parts[0][1]
    if first is None:
        return None
    whole = np.zeros((n, *first.shape[1:]), first.dtype)
    for places, values in parts:
        if values is None:
            return None
        whole[places] = values
    return whole
