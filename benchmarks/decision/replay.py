"""Decide again from what a cell recorded: the product's own rules, without training anything."""

from __future__ import annotations

import numpy as np

from benchmarks.decision.cells import BUDGET
from benchmarks.decision.recorded import ACTION, Choice, Recorded
from frostline.core.checking import parse_budget
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cost import RACE_SHARE
from frostline.strategy.gates import makes_sense, simplest_of_the_best, why_not_race
from frostline.strategy.growth import FITTED_GROWTH, Growth
from frostline.strategy.race import LEADERS, Entry, FoldResult, RaceSchedule
from frostline.strategy.replay import replay_race
from frostline.strategy.thresholds import FITTED, Thresholds


def choose(
    cell: Recorded,
    thresholds: Thresholds = FITTED,
    growth: Growth = FITTED_GROWTH,
    *,
    n_leaders: int = LEADERS,
    average: bool = True,
) -> Choice:
    """Decide as the product does, from the recorded evidence and races.

    Without ``average`` a single option is chosen on few images, too.
    """
    summary = cell.summary
    correct = [cell.left_out(head) for head in cell.heads]
    head = cell.heads[simplest_of_the_best(correct, np.arange(cell.n_train), thresholds)]
    if why_not_race(summary, thresholds):
        return Choice(head, 0.0, raced=False, members=(head,))
    names = [n for n in cell.trained if makes_sense(summary, cell.options[n]["strategy"], n)]
    spent = 0.0

    def runner(entry: Entry, fold: int) -> FoldResult:
        nonlocal spent
        name = entry.proposal.name
        judged = cell.finals(name)[fold - 1] if fold else cell.heat(name)
        spent += judged.cpu
        return FoldResult(judged.right, judged.sure, np.arange(len(judged.right)))

    entries = tuple(_entry(cell, name) for name in (head, *names))
    work = RaceSchedule(entries, entries, {}, cell.n_train, summary.size.per_class)
    settled = replay_race(
        work,
        runner,
        seconds=(1 - RACE_SHARE) * parse_budget(BUDGET),
        thresholds=thresholds,
        growth=growth,
        n_leaders=n_leaders,
    )
    alone = settled.winner.name
    if not average:
        return Choice(alone, spent, raced=True, members=(alone,))
    members = tuple(member.name for member in settled.members)
    return Choice(settled.chosen.name, spent, raced=True, members=members, entrants=tuple(names))


def _entry(cell: Recorded, name: str) -> Entry:
    option = cell.options[name]
    action = ACTION.validate_python(option["action"])
    seconds = float(option["nominal"])
    return Entry(Proposal(name, option["strategy"], action, None, seconds), action, 0.0)
