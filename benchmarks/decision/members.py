"""Other ways to say who is averaged after the same race: tried, and not taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from benchmarks.decision.recorded import Choice, FloatArray, Recorded
from benchmarks.decision.replay import Rule, choose
from frostline.stats.intervals import paired_difference
from frostline.strategy.race import folds_of

#: from what each option gave to the truth, the head's first, to the names of the members
Select = Callable[[Mapping[str, FloatArray]], list[str]]
_EDGE = 1e-2


def chosen_by(cell: Recorded, select: Select) -> Choice:
    """Run the race in use, and average alike whom a rule selects."""
    equal = choose(cell, Rule(average="equal"))
    if len(equal.members) < 2:
        return equal
    n_folds = folds_of(cell.n_train)
    given = {
        name: np.concatenate([fold.sure for fold in cell.finals(name)[:n_folds]])
        for name in equal.members
    }
    members = tuple(select(given))
    return replace(equal, name=", ".join(members), members=members)


def within(errors: float) -> Select:
    """Everyone who is behind the best by at most so many paired standard errors."""

    def select(given: Mapping[str, FloatArray]) -> list[str]:
        best = max(given, key=lambda name: float(given[name].mean()))
        kept = [best]
        for name, one in given.items():
            loss, error = paired_difference(given[best], one)
            if name != best and loss <= errors * error:
                kept.append(name)
        return kept

    return select


def greedy(given: Mapping[str, FloatArray]) -> list[str]:
    """Forward selection from the head by the log score of the average (Caruana et al. 2004)."""
    members = [next(iter(given))]

    def score(names: list[str]) -> float:
        mean = np.mean([given[name] for name in names], axis=0)
        return float(np.log(np.maximum(mean, _EDGE)).mean())

    while len(members) < len(given):
        rest = [name for name in given if name not in members]
        best = max(rest, key=lambda name: score([*members, name]))
        if score([*members, best]) <= score(members):
            break
        members.append(best)
    return members
