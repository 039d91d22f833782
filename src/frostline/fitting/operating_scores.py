"""How often sets, intervals and answers hold, on images that judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.operating_record import (
    AbstentionPoint,
    AbstentionScores,
    CasesNeeded,
    IntervalScores,
    LabelAbstentionScores,
    LabelSetScores,
    SetScores,
)
from frostline.data.problem import Problem
from frostline.fitting.operating import LeftOut, Operated, Operating, operate
from frostline.stats.abstention import NeverSure
from frostline.stats.conformal import TooFewCases
from frostline.stats.decision_rule import DecisionRule
from frostline.stats.intervals import effective_count, wilson


def operating_scores(
    operating: Operating,
    operated: Operated,
    truth: Truth,
    decided: Truth,
    groups: IntArray,
    *,
    right: BoolArray,
    names: Sequence[str],
    asked: float | None,
) -> dict[str, Any]:
    """Judge sets, intervals and abstention, where there are any.

    ``truth`` and ``decided``: as the target encodes them. ``right``, shape (n,): which images are
    answered rightly. ``names``: of the outputs. ``asked``: a bound on wrong answers. The result:
    records by the names that ``metrics.json`` has.
    """
    found: dict[str, Any] = {
        "sets": set_scores(operating, operated, truth, groups),
        "abstention": abstention_scores(operating, operated, right, groups, asked=asked),
        "intervals": interval_scores(operating, operated, truth, groups, names),
    }
    if operating.labels:
        each = [
            _of_label(*one, groups, asked)
            for one in zip(
                names, operating.labels, operated.labels, truth.T, decided.T, strict=False
            )
        ]
        found["label_sets"] = tuple(sets for sets, _ in each if sets is not None)
        found["label_abstention"] = tuple(kept for _, kept in each if kept is not None)
    return {name: scores for name, scores in found.items() if scores}


def interval_scores(
    operating: Operating,
    operated: Operated,
    truth: Truth,
    groups: IntArray,
    names: Sequence[str],
) -> tuple[IntervalScores, ...]:
    """Say of every column how far its intervals reach, and how often they held the truth."""
    found, ends = operating.intervals, operated.intervals
    if found is None:
        return ()
    scores = []
    for column, (name, radius) in enumerate(zip(names, found.radii, strict=True)):
        if isinstance(radius, TooFewCases):
            needed = CasesNeeded(needed=radius.needed, found=radius.found)
            scores.append(IntervalScores(column=name, level=found.level, too_few=needed))
            continue
        score = IntervalScores(
            column=name,
            level=found.level,
            scoring=found.scoring,
            n_images=found.n_images[column],
            n_groups=found.n_groups[column],
            radius=radius,
        )
        judged = ~np.isnan(truth[:, column])
        if ends is not None:
            judged &= np.isfinite(ends[:, column, 0])
        if ends is not None and judged.any():
            own, reached = truth[judged, column], ends[judged, column]
            held = (own >= reached[:, 0]) & (own <= reached[:, 1])
            score = score.model_copy(
                update={
                    "coverage": float(held.mean()),
                    "coverage_interval": share_interval(held, groups[judged]),
                }
            )
        scores.append(score)
    return tuple(scores)


def _of_label(
    name: str,
    operating: Operating,
    operated: Operated,
    truth: Truth,
    decided: Truth,
    groups: IntArray,
    asked: float | None,
) -> tuple[LabelSetScores | None, LabelAbstentionScores | None]:
    """Judge one of several labels by the images of which it is known."""
    known = ~np.isnan(truth)
    seen = replace(
        operated,
        sets=None if operated.sets is None else operated.sets[known],
        answered=operated.answered[known],
    )
    if not known.any():
        return None, None
    right, own = decided[known] == truth[known], groups[known]
    sets = set_scores(operating, seen, truth[known], own)
    kept = None
    if asked is not None:
        kept = abstention_scores(operating, seen, right, own, asked=asked)
    return (
        None if sets is None else LabelSetScores(label=name, **_set(sets)),
        None if kept is None else LabelAbstentionScores(label=name, **_set(kept, "curve")),
    )


def _set(record: SetScores | AbstentionScores, *but: str) -> dict[str, Any]:
    return {key: getattr(record, key) for key in record.model_fields_set if key not in but}


def expected_answers(
    problem: Problem, operating: Operating, left_out: LeftOut, rule: DecisionRule, asked: float
) -> AbstentionPoint | None:
    """Return how many images are answered under a bound, by those that did not teach.

    Of several labels the mean over all. None where the bound cannot be kept.
    """
    told = left_out.probabilities
    operated = operate(operating, told, problem.target.decide(told, rule), asked)
    place = operated.bounds.index(asked)
    each = [one.answered[:, place] for one in operated.labels or (operated,)]
    answered = np.mean(each, axis=0)
    if not answered.any():
        return None
    return AbstentionPoint(
        at_most_wrong=asked,
        answered=float(answered.mean()),
        answered_interval=share_interval(answered, problem.groups[left_out.rows]),
    )


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
            "coverage_interval": share_interval(held, groups),
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
        answered_interval=share_interval(answered, groups),
    )
    if not answered.any():
        return point
    wrong = ~right[answered]
    return point.model_copy(
        update={
            "wrong": float(wrong.mean()),
            "wrong_interval": share_interval(wrong, groups[answered]),
        }
    )


def share_interval(outcome: BoolArray | FloatArray, groups: IntArray) -> tuple[float, float]:
    """95 % around a share of images, some of which belong together."""
    count = effective_count(outcome, groups)
    return wilson(float(outcome.mean()) * count, count)
