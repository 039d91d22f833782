"""Fit what the decision turns on, on some families of target sets, and judge it on another one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.decision.recorded import Choice, Recorded
from benchmarks.decision.replay import Rule, choose, head_of
from frostline.strategy.expected_gain import GainShares, bucket
from frostline.strategy.thresholds import FITTED

_GRID: dict[str, tuple[float, ...]] = {
    "errors": (0.0, 0.5, 1.0, 1.5),
    "most_lost": (0.01, 0.03, 1.0),
    "good_enough": (0.01, 0.02, 0.03, 0.05),
    "least_gain": (0.0, 0.005, 0.01, 0.02),
    "prior_of_head": (0.33, 0.5, 0.67),
    "prior_images": (10.0, 30.0, 100.0),
    "least_of_prior": (0.3, 0.5, 0.7),
}
#: points of regret that others must gain before what is in use is given up: few sets are noisy
_WORTH = 0.1
#: racing must be worth its time: points of regret that the whole training time weighs
_TIME = 0.2
#: what one family more is taken to have shown, by size: what was hardly looked at is worth a try,
#: as a race that was not run can cost far more than one that was
_HOPE = (0.1, 0.5, 0.5)
#: cells with less to gain tell nothing about shares of it
_LEAST_HEADROOM = 0.03


def leave_families_out(cells: Sequence[Recorded], rule: Rule) -> list[tuple[Recorded, Choice]]:
    """Decide every cell with what was fitted on the other families of target sets.

    ``rule``: which parts of the rule are in use; its numbers are fitted.
    """
    found = []
    for family in sorted({c.family for c in cells}):
        others = [c for c in cells if c.family != family]
        fitted = fit(others, rule)
        found += [(c, choose(c, fitted)) for c in cells if c.family == family]
    return found


def fit(cells: Sequence[Recorded], rule: Rule | None = None) -> Rule:
    """Return a rule with the thresholds of a grid that cost least, one after the other.

    What costs is mean regret, time counting a little, in the mean over families. Thresholds in use
    are kept unless others are better by a tenth of a point.
    """
    rule = rule or Rule()
    rule = replace(rule, shares=fit_shares(cells), thresholds=FITTED)
    in_use = lowest = _cost(cells, rule)
    best = rule
    for name, values in _GRID.items():
        for value in values:
            other = replace(best, thresholds=replace(best.thresholds, **{name: value}))
            cost = lowest if other == best else _cost(cells, other)
            if cost < lowest:
                best, lowest = other, cost
    return best if lowest + _WORTH < in_use else rule


def fit_shares(cells: Sequence[Recorded]) -> GainShares:
    """Return what racing gained over the head, as a share of what the head had left to gain.

    By shift and size: means over families, each of the mean of its cells; a family that never was
    adds some hope.
    """
    gains: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    always = Rule(races="always", thresholds=replace(FITTED, good_enough=0.0))
    for cell in cells:
        if cell.summary.headroom < _LEAST_HEADROOM:
            continue
        raced = cell.accuracy_of(choose(cell, always))
        gained = (raced - cell.accuracy(head_of(cell))) / cell.summary.headroom
        size = bucket(cell.summary.size.per_class)
        for label in (cell.summary.shift.label, "unknown"):
            gains[label, size][cell.family].append(gained)
    found: dict[str, tuple[float, float, float]] = {}
    for label in ("unknown", "similar", "moderate", "different"):
        row = []
        for size in range(3):
            own = _means(gains[label, size].values())
            share = (sum(own) + _HOPE[size]) / (len(own) + 1)
            row.append(round(max(0.0, share), 2))
        found[label] = (row[0], row[1], row[2])
    return found


def _means(values: Iterable[Sequence[float]]) -> list[float]:
    return [float(np.mean(one)) for one in values]


def _cost(cells: Sequence[Recorded], rule: Rule) -> float:
    """Mean regret, and a little for the time, every family counting alike."""
    by_family: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        choice = choose(cell, rule)
        share = choice.race_seconds / cell.all_seconds
        by_family[cell.family].append(cell.regret(choice) + _TIME * share)
    return float(np.mean(_means(by_family.values())))


def fit_gain(cells: Sequence[Recorded]) -> dict[str, float]:
    """Return the median accuracy that a doubling of the images brought training over heads.

    By the shift's label; between sizes 5 and 20, and 20 and all, of one set and seed.
    """
    gains: dict[str, list[float]] = defaultdict(list)
    known = {(c.target, c.seed, c.size): c for c in cells}
    for (target, seed, size), cell in known.items():
        smaller = known.get((target, seed, {"20": "5", "all": "20"}.get(size, "")))
        if smaller is not None:
            doublings = float(np.log2(cell.n_train / smaller.n_train))
            gained = (_lead(cell) - _lead(smaller)) / doublings
            gains[cell.summary.shift.label].append(gained)
    return {label: round(float(np.median(values)), 4) for label, values in gains.items()}


def _lead(cell: Recorded) -> float:
    """Accuracy of the best option that trains layers, minus that of the best head."""
    trained = [n for n in cell.candidates if n not in cell.heads]
    return max(map(cell.accuracy, trained)) - max(map(cell.accuracy, cell.heads))
