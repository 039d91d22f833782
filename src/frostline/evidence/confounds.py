"""What should not matter but tells the label: files, cameras, compression, colours, borders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.confound_record import (
    OF_CONTENT,
    Confound,
    ConfoundAudit,
    FactGroupName,
    HonestScore,
    UnusedFacts,
    Verdict,
)
from frostline.core.rng import generator
from frostline.data.problem import Problem
from frostline.data.splitting.sampling import chosen_rows
from frostline.evidence.fact_groups import Fact, FactGroup
from frostline.evidence.left_out_values import Cut, FeatureFit, filled_targets, honest_scores
from frostline.stats.balanced_gains import BalancedGains
from frostline.stats.paired import holm
from frostline.stats.shuffled_fit import ColumnFit, p_value_of
from frostline.targets.labelled import Labelled

#: images that are looked at, at most
MOST_IMAGES = 1_000
#: fewer, of different groups, tell nothing
FEWEST_IMAGES = 30
#: groups together are wrongly said to tell something with at most this probability
LEVEL = 0.05
#: smaller differences are not worth a warning; facts that content decides in part go with how hard
#: a picture is
_MATTERS, _MATTERS_OF_CONTENT = 0.03, 0.1
#: share of other classes that may have the value of a class that cannot be told from it
_SELDOM = 0.25
#: parts that left-out scores rest on
_FOLDS = 10


@dataclass(frozen=True, eq=False)
class Telling:
    """A group of facts with what it tells of n images.

    ``gains``: of its left-out outputs. ``p_adjusted``: that it tells nothing, all groups
    considered.
    """

    group: FactGroup
    gains: BalancedGains
    p_value: float
    p_adjusted: float

    @property
    def tells(self) -> bool:
        """Whether it tells anything."""
        return self.p_adjusted <= LEVEL


@dataclass(frozen=True)
class Looked:
    """All groups of facts about some images, with what they tell of their labels."""

    labelled: Labelled
    tellings: tuple[Telling, ...]
    unused: tuple[UnusedFacts, ...] = ()
    seed: int = 0

    def most_telling(self, telling: Telling) -> Fact:
        """Return the fact of a group that tells most by itself."""
        rng = generator("confound facts", self.seed, self.tellings.index(telling))
        return _most_telling(telling.group, filled_targets(self.labelled.matrix), rng)


def rows_to_look_at(problem: Problem, rows: IntArray) -> IntArray:
    """Return one training row of each group, at most 1,000: a sample that shuffling does not break.

    Copies of what is left out would tell its class.
    """
    _, first = np.unique(problem.groups[rows], return_index=True)
    return chosen_rows(problem.catalog.digests, rows[np.sort(first)], MOST_IMAGES)


def look_at_facts(
    labelled: Labelled,
    groups: Sequence[FactGroup],
    unused: Sequence[UnusedFacts] = (),
    *,
    seed: int = 0,
) -> Looked:
    """Fit the labels of some images to each group of facts, and to the same shuffled.

    ``labelled``: of the n images, one of each group.
    """
    if len(labelled.truth) < FEWEST_IMAGES:
        return Looked(labelled, (), tuple(unused))
    targets = filled_targets(labelled.matrix)
    shares = targets.mean(axis=0)
    folds = _spread_evenly(
        labelled.target.strata(labelled.truth), generator("confound parts", seed)
    )
    gains, p_values = [], []
    for number, group in enumerate(groups):
        fit = ColumnFit.of(group.columns)
        # without one image alone its class would be rarer than in all, and ties go against it
        left_out = fit.left_out_together(targets, folds)
        gains.append(labelled.target.balanced_gains(left_out, labelled.truth, shares))
        p_values.append(p_value_of(fit, targets, generator("confound shuffles", seed, number)))
    tellings = map(Telling, groups, gains, p_values, holm(p_values))
    return Looked(labelled, tuple(tellings), tuple(unused), seed)


def audit_confounds(
    looked: Looked,
    features: Callable[[], FeatureFit],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> ConfoundAudit:
    """Judge frozen features without each fact that tells the label.

    ``features``: the head on the same images, fitted only where something is to be judged.
    ``classes``: their names; empty where images have no one class.
    """
    honest: dict[FactGroupName, HonestScore] = {}
    usual = None
    telling = [(number, one) for number, one in enumerate(looked.tellings) if one.tells]
    if telling:
        labelled = looked.labelled
        cuts = []
        for number, one in telling:
            rng = generator("confound cuts", seed, number)
            cuts.append(Cut.of(looked.most_telling(one), labelled, rng))
        usual, scores = honest_scores(features(), cuts, classes)
        honest = {one.group.name: own for (_, one), own in zip(telling, scores, strict=True)}
    adjusted = iter(holm([one.p_value for one in honest.values() if one.p_value is not None]))
    for group, score in honest.items():
        if score.p_value is not None:
            honest[group] = score.model_copy(update={"p_adjusted": next(adjusted)})
    return ConfoundAudit(
        score=looked.tellings[0].gains.name if looked.tellings else "balanced_accuracy",
        images=len(looked.labelled.truth),
        usual=usual,
        groups=tuple(_confound(one, honest.get(one.group.name)) for one in looked.tellings),
        unused=looked.unused,
        level=LEVEL,
    )


def _confound(one: Telling, honest: HonestScore | None) -> Confound:
    return Confound(
        group=one.group.name,
        facts=tuple(fact.name for fact in one.group.facts),
        score=one.gains.score,
        chance=one.gains.chance,
        p_value=one.p_value,
        p_adjusted=one.p_adjusted,
        verdict="nothing" if honest is None else _verdict(honest),
        honest=honest,
    )


def _verdict(honest: HonestScore) -> Verdict:
    """Say what a group that tells the label means for the model."""
    surely = honest.p_adjusted is not None and honest.p_adjusted <= LEVEL
    drop = honest.drop or 0.0
    least = _MATTERS_OF_CONTENT if honest.fact in OF_CONTENT else _MATTERS
    if surely and min(honest.fall, drop) >= least:
        return "warning"
    apart = 2 * honest.one_valued > honest.images or any(
        one.others <= _SELDOM for one in honest.given_away
    )
    if apart and honest.fact not in OF_CONTENT:
        return "inseparable"
    return "note"


def _spread_evenly(strata: IntArray, rng: np.random.Generator) -> IntArray:
    """Return one of ten parts for each image, each with its share of every class."""
    found = np.empty(len(strata), dtype=np.int64)
    order = np.lexsort((rng.permutation(len(strata)), strata))
    found[order] = np.arange(len(strata)) % _FOLDS
    return found


def _most_telling(group: FactGroup, targets: FloatArray, rng: np.random.Generator) -> Fact:
    """Return the fact of a group that tells most by itself; the first of equals.

    Facts that the content of a picture decides in part come last: a file's size tells its type, and
    much else.
    """
    if len(group.facts) == 1:
        return group.facts[0]
    fits = {fact.name: ColumnFit.of(fact.columns) for fact in group.facts}
    explained = {name: fit.explained(targets) for name, fit in fits.items()}
    plain = [
        fact
        for fact in group.facts
        if fact.name not in OF_CONTENT and p_value_of(fits[fact.name], targets, rng) <= LEVEL
    ]
    return max(plain or group.facts, key=lambda fact: explained[fact.name])
