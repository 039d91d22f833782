"""Whether either of two models leans on what should not matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frostline.comparing.judged import Judged
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.comparison_record import LeanComparison
from frostline.data.decoding.facts import ImageFacts
from frostline.evidence.confounds import LEVEL, MOST_IMAGES, look_at_facts
from frostline.evidence.fact_groups import FactGroup, fact_groups
from frostline.stats.leaning import Lean, lean, more_frequent
from frostline.stats.paired import holm
from frostline.stats.score_contributions import LOWER_IS_BETTER, Answered
from frostline.targets.labelled import Labelled


def compare_leans(judged: Judged, facts: Sequence[ImageFacts | None]) -> list[LeanComparison]:
    """Look for facts that tell the label of judged images, and at how both models do by them.

    ``facts``: of every image; None where the image is not there. Images without are left out.
    """
    there = np.array([i for i, fact in enumerate(facts) if fact is not None], dtype=np.int64)
    if not len(there):
        return []
    _, first = np.unique(judged.groups[there], return_index=True)
    # spread over all: their order may be that of classes
    rows = np.sort(there[first])
    rows = rows[np.linspace(0, len(rows) - 1, min(MOST_IMAGES, len(rows))).round().astype(np.int64)]
    labelled = Labelled(judged.target, judged.truth[rows], np.arange(len(rows)))
    looked = look_at_facts(labelled, _groups(facts, rows))
    everywhere = {group.name: group for group in _groups(facts, there)}
    strata = judged.target.strata(judged.truth[there])
    name, a = _gains(judged, judged.a, there)
    _, b = _gains(judged, judged.b, there)
    found: list[tuple[LeanComparison, float]] = []
    for one in looked.tellings:
        if not one.tells:
            continue
        fact = looked.most_telling(one)
        own = next(f for f in everywhere[one.group.name].facts if f.name == fact.name)
        marked = more_frequent(own.values().codes, strata)
        leans = [lean(gains, marked, strata, judged.groups[there]) for gains in (a, b, b - a)]
        if any(each is None for each in leans):
            continue
        of_a, of_b, difference = (each for each in leans if each is not None)
        record = LeanComparison(
            group=one.group.name,
            fact=fact.name,
            images=of_a.images,
            alone=one.gains.score,
            chance=one.gains.chance,
            score=name,
            **_of(of_a, of_b, difference),
            p_adjusted=1.0,
            verdict="neither",
        )
        found.append((record, difference.p_value))
    adjusted = holm([p for _, p in found])
    return [_judged(one, p) for (one, _), p in zip(found, adjusted, strict=True)]


def _judged(one: LeanComparison, p_adjusted: float) -> LeanComparison:
    more = "b" if one.difference > 0 else "a"
    verdict = more if p_adjusted <= LEVEL else "neither"
    return one.model_copy(update={"p_adjusted": p_adjusted, "verdict": verdict})


def _of(a: Lean, b: Lean, difference: Lean) -> dict[str, float | tuple[float, float]]:
    return {
        "a": a.difference,
        "a_interval": a.interval,
        "b": b.difference,
        "b_interval": b.interval,
        "difference": difference.difference,
        "interval": difference.interval,
    }


def _groups(facts: Sequence[ImageFacts | None], rows: IntArray) -> list[FactGroup]:
    known = [fact for row in rows.tolist() if (fact := facts[row]) is not None]
    colours = [fact.colour for fact in known if fact.colour is not None]
    borders = [fact.border for fact in known if fact.border is not None]
    found, _ = fact_groups(
        [fact.file for fact in known],
        np.array(colours) if len(colours) == len(known) else None,
        np.array(borders) if len(borders) == len(known) else None,
    )
    return found


def _gains(judged: Judged, answered: Answered, rows: IntArray) -> tuple[str, FloatArray]:
    """Return the name of the score of single images, and theirs: larger is better."""
    found = judged.target.image_contributions(answered, judged.truth)
    each = found.each[rows]
    return found.name, -each if found.name in LOWER_IS_BETTER else each
