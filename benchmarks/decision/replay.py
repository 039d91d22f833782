"""Decide again from what a cell recorded: the product's own rules, without training anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from benchmarks.decision.cells import BUDGET
from benchmarks.decision.recorded import ACTION, Choice, Recorded
from frostline.core.checking import parse_budget
from frostline.strategy.blending import FEW_IMAGES
from frostline.strategy.candidates.adapters import NAME as ADAPTERS
from frostline.strategy.candidates.finetune_all import FIRMLY
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cost import RACE_SHARE
from frostline.strategy.expected_gain import FITTED_SHARES, GainShares, expected_gain
from frostline.strategy.gates import makes_sense, simplest_of_the_best, why_not_race
from frostline.strategy.race import (
    Entry,
    FoldResult,
    RaceSchedule,
    candidates_of,
    folds_of,
)
from frostline.strategy.replay import replay_race
from frostline.strategy.thresholds import FITTED, Thresholds

#: how names of the options in the product's portfolio begin, in its order
PORTFOLIO = (ADAPTERS, "train the whole network", "cut after", FIRMLY)
PORTFOLIO_OF_MANY = (*PORTFOLIO, "fine-tune the whole network")


@dataclass(frozen=True)
class Rule:
    """The product's rule, with what was fitted for it, or a part of it left out.

    ``average``: of the finalists by weight, of all of them equally, or one alone. ``thorough``: as
    with ``--effort best``, every option enters. ``races``: never, where a race is likely to pay, or
    wherever anything may be gained.
    """

    thresholds: Thresholds = FITTED
    shares: GainShares = field(default_factory=lambda: FITTED_SHARES)
    average: Literal["weighed", "equal", "none"] = "weighed"
    thorough: bool = False
    races: Literal["never", "where it pays", "always"] = "where it pays"


def choose(cell: Recorded, rule: Rule | None = None) -> Choice:
    """Decide as the product does, from the recorded evidence and races."""
    rule = rule or Rule()
    head = head_of(cell, rule.thresholds)
    names = entrants(cell, thorough=rule.thorough)
    alone = Choice(head, 0.0, raced=False, members=(head,))
    if rule.races == "never" or not names or why_not_race(cell.summary, rule.thresholds):
        return alone
    pays = expected_gain(cell.summary, rule.shares) >= rule.thresholds.least_gain
    if rule.races == "where it pays" and not pays and not rule.thorough:
        return alone
    return _raced(cell, head, names, rule)


def head_of(cell: Recorded, thresholds: Thresholds = FITTED) -> str:
    """Return the head that the product races: the stacked one, where there is one, or adapted."""
    heads = cell.heads
    if cell.STACKED in heads or cell.has_stand_in:
        heads = [cell.STACKED, *(h for h in heads if cell.is_adapted(h))]
    correct = [cell.left_out(head) for head in heads]
    return heads[simplest_of_the_best(correct, cell.groups, thresholds)]


def entrants(cell: Recorded, *, thorough: bool = False) -> list[str]:
    """Return the options that train layers and would race."""
    sensible = [
        name
        for name in cell.trained
        if makes_sense(cell.summary, cell.options[name]["strategy"], name)
    ]
    few = cell.n_train < FEW_IMAGES
    if thorough and not few:
        return sensible
    likely = [
        name
        for start in (PORTFOLIO if few else PORTFOLIO_OF_MANY)
        for name in sensible
        if name == start or (start.endswith("after") and name.startswith(start))
    ]
    return likely[: candidates_of(cell.n_train)]


def _raced(cell: Recorded, head: str, names: list[str], rule: Rule) -> Choice:
    spent = 0.0

    def runner(entry: Entry, fold: int) -> FoldResult:
        nonlocal spent
        name = entry.proposal.name
        judged = cell.finals(name)[fold - 1]
        spent += judged.cpu
        return FoldResult(judged.right, judged.sure, cell.judged_groups(fold))

    entries = tuple(_entry(cell, name) for name in (head, *names))
    n_folds = min(folds_of(cell.n_train, thorough=rule.thorough), len(cell.finals(head)))
    work = RaceSchedule(entries, {}, cell.n_train, n_folds)
    settled = replay_race(
        work,
        runner,
        seconds=(1 - RACE_SHARE) * parse_budget(BUDGET),
        thresholds=rule.thresholds,
    )
    members = tuple(member.name for member in settled.members)
    if rule.average == "none" or settled.blend is None:
        members = (settled.winner.name,)
    elif rule.average == "equal":
        members = tuple(e.proposal.name for e in entries)
    weights: tuple[float, ...] = ()
    if settled.blend is not None and rule.average == "weighed":
        weights = tuple(settled.blend.reason.weights)
    name = members[0] if len(members) == 1 else "average of " + ", ".join(members)
    return Choice(name, spent, True, members, weights, tuple(names))


def _entry(cell: Recorded, name: str) -> Entry:
    option = cell.options[cell.heads[0] if name == cell.STACKED and cell.has_stand_in else name]
    action = ACTION.validate_python(option["action"])
    seconds = float(option["nominal"])
    return Entry(Proposal(name, option["strategy"], action, None, seconds), action, 0.0)
