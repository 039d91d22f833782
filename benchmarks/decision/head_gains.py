"""What the head in use gains over the head of before, on the same cells, without any training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.decision.earlier_rule import earlier_head
from benchmarks.decision.recorded import FloatArray, Recorded
from benchmarks.decision.replay import head_of

#: points by which a set has to be worse to count
CLEARLY = 0.5
_RESAMPLES = 4000
_LEVEL = (2.5, 97.5)


def head_gains(cells: Sequence[Recorded]) -> dict[str, dict[str, Any]]:
    """Compare the two heads in points of accuracy, by size and over all sizes.

    Every set counts alike: seeds and sizes of one set are averaged first, and the interval draws
    families of sets, whole.

    Returns
    -------
    dict
        By size, and under ``every size``: ``gain`` with its ``interval``, how many ``sets``, the
        ``worse`` ones among them (by more than half a point) and their share, and how often one
        cell is worse.
    """
    found = {}
    for size in (*dict.fromkeys(cell.size for cell in cells), "every size"):
        chosen = [cell for cell in cells if size in (cell.size, "every size")]
        found[size] = _compared(chosen)
    return found


def _compared(cells: Sequence[Recorded]) -> dict[str, Any]:
    by_set: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        gain = cell.accuracy(head_of(cell)) - cell.accuracy(earlier_head(cell))
        by_set[cell.target].append(100 * gain)
    family = {cell.target: cell.family for cell in cells}
    means = {name: float(np.mean(gains)) for name, gains in by_set.items()}
    every = np.concatenate(list(by_set.values()))
    worse = {name: round(mean, 2) for name, mean in means.items() if mean < -CLEARLY}
    return {
        "gain": round(float(np.mean(list(means.values()))), 2),
        "interval": over_families(list(means.values()), [family[name] for name in means]),
        "sets": len(means),
        "worse": worse,
        "worse_share": round(len(worse) / len(means), 3),
        "cells": len(every),
        "worse_cells_share": round(float((every < -CLEARLY).mean()), 3),
        "worst_cell": round(float(every.min()), 2),
    }


def over_families(values: Sequence[float] | FloatArray, families: Sequence[str]) -> list[float]:
    """Return a 95 % interval of a mean, families of target sets drawn whole, with replacement."""
    given, of = np.asarray(values), np.asarray(families)
    parts = [given[of == one] for one in np.unique(of)]
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(parts), size=(_RESAMPLES, len(parts)))
    means = [np.concatenate([parts[i] for i in row]).mean() for row in drawn]
    return [round(float(end), 2) for end in np.percentile(means, _LEVEL)]
