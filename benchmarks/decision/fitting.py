"""Fit the thresholds on some target sets and judge them on another one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from benchmarks.decision.recorded import Choice, Recorded
from benchmarks.decision.replay import choose
from frostline.strategy.gates import why_not_race
from frostline.strategy.growth import KINDS, Growth, Kind
from frostline.strategy.thresholds import FITTED, Thresholds

_GRID = {
    "errors": (0.0, 0.5, 1.0, 1.5),
    "most_lost": (0.01, 0.03, 1.0),
    "good_enough": (0.01, 0.02, 0.03, 0.05),
}
#: points of regret that others must gain before what is in use is given up: few sets are noisy
_WORTH = 0.1
#: racing must be worth its time: points of regret that the whole training time weighs
_TIME = 0.2


def fit(cells: Sequence[Recorded]) -> Thresholds:
    """Return the thresholds of a grid with the least mean regret, time counting a little.

    Those in use are kept unless others are better by a tenth of a point.
    """
    growth = fit_growth(cells)
    seen: dict[tuple[int, tuple[float, ...]], float] = {}
    costs = {v: _cost(cells, v, growth, seen) for v in product(*_GRID.values())}
    best = min(costs, key=lambda values: costs[values])
    in_use = tuple(float(getattr(FITTED, name)) for name in _GRID)
    if costs[in_use] <= costs[best] + _WORTH:
        return FITTED
    return _thresholds(best)


def leave_one_set_out(cells: Sequence[Recorded]) -> list[tuple[Recorded, Choice]]:
    """Decide every cell with thresholds that were fitted on the other target sets."""
    found = []
    for target in sorted({c.target for c in cells}):
        others = [c for c in cells if c.target != target]
        thresholds, growth = fit(others), fit_growth(others)
        found += [(c, choose(c, thresholds, growth)) for c in cells if c.target == target]
    return found


def fit_growth(cells: Sequence[Recorded]) -> Growth:
    """Return the median way from a heat to full training, in logits, by kind and size.

    Cells that would not be raced do not count. A size that was never seen takes the kind's median.
    """
    ways: dict[tuple[Kind, int], list[float]] = defaultdict(list)
    for cell in cells:
        if cell.summary.headroom >= FITTED.good_enough:
            for kind, size, way in cell.growth():
                ways[kind, size].append(way)
    found: dict[Kind, tuple[float, float, float]] = {}
    for kind in KINDS:
        every = [r for (k, _), values in ways.items() if k == kind for r in values]
        sizes = [ways.get((kind, size)) or every for size in range(3)]
        small, middle, large = (round(float(np.median(values)), 2) for values in sizes)
        found[kind] = (small, middle, large)
    return found


def _cost(
    cells: Sequence[Recorded],
    values: tuple[float, ...],
    growth: Growth,
    seen: dict[tuple[int, tuple[float, ...]], float],
) -> float:
    """Mean regret, and a little for the time."""
    total = 0.0
    for cell in cells:
        if why_not_race(cell.summary, _thresholds(values)):
            # only the gate and the choice of a head matter
            choice = choose(cell, _thresholds(values), growth)
            total += cell.regret(choice)
            continue
        key = (id(cell), values[:2])
        if key not in seen:
            choice = choose(cell, _thresholds(values), growth)
            share = choice.race_seconds / cell.all_seconds
            seen[key] = cell.regret(choice) + _TIME * share
        total += seen[key]
    return total / len(cells)


def _thresholds(values: tuple[float, ...]) -> Thresholds:
    return replace(FITTED, **dict(zip(_GRID, values, strict=True)))


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
