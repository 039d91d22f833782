"""Fit the thresholds on some target sets and judge them on another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from deciding.replay import Choice, Recorded
from frostline.strategy.thresholds import FITTED, Thresholds

_GRID = {
    "errors": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5),
    "most_lost": (0.005, 0.01, 0.02, 0.03, 0.05, 1.0),
    "good_enough": (0.005, 0.01, 0.02, 0.03, 0.05),
    "fewest_per_class": (0.0, 10.0),
    "behind": (1.0, 2.0),
}
#: racing must be worth its time: points of regret that the whole training time weighs
_TIME = 0.2


def fit(cells: Sequence[Recorded]) -> Thresholds:
    """Return the thresholds of a grid with the least mean regret, time counting a little."""
    costs = {values: _cost(cells, values) for values in product(*_GRID.values())}
    least = min(costs.values())
    # of equals the one in the middle of its neighbours, not the first on the border
    equal = [values for values, cost in costs.items() if cost <= least + 1e-9]
    return _thresholds(equal[len(equal) // 2])


def leave_one_set_out(cells: Sequence[Recorded]) -> list[tuple[Recorded, Choice]]:
    """Decide every cell with thresholds that were fitted on the other target sets."""
    found = []
    for target in sorted({c.target for c in cells}):
        thresholds = fit([c for c in cells if c.target != target])
        found += [(c, c.choose(thresholds)) for c in cells if c.target == target]
    return found


_SEEN: dict[tuple[int, tuple[float, ...]], tuple[float, float]] = {}


def _cost(cells: Sequence[Recorded], values: tuple[float, ...]) -> float:
    return float(np.mean([_of_one(cell, values) for cell in cells]))


def _of_one(cell: Recorded, values: tuple[float, ...]) -> float:
    key = (id(cell), values)
    if key not in _SEEN:
        choice = cell.choose(_thresholds(values))
        _SEEN[key] = (cell.regret(choice.name), choice.race_seconds / cell.all_seconds)
    regret, time = _SEEN[key]
    return regret + _TIME * time


def _thresholds(values: tuple[float, ...]) -> Thresholds:
    return replace(FITTED, **dict(zip(_GRID, values, strict=True)))
