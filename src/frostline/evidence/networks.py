"""Which network at which input size: compared on frozen features, before anything else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from frostline.core.arrays import BoolArray, IntArray
from frostline.core.plan import NetworkResult
from frostline.core.rng import generator
from frostline.core.threads import side_by_side
from frostline.data.problem import Problem
from frostline.evidence.probes import ALL, probe
from frostline.stats.intervals import effective_count, paired_difference, wilson
from frostline.targets.labelled import Labelled

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen


#: training images that networks are compared on, at most: a paired difference of a point and a half
#: then stands out where one image in twenty is judged otherwise
COMPARED_IMAGES = 1000


def best_network(
    problem: Problem,
    candidates: Sequence[Frozen],
    rows: IntArray,
    *,
    tie: float,
    threads: int = 1,
    places: Sequence[IntArray] | None = None,
) -> tuple[Frozen, list[NetworkResult]]:
    """Return the cheapest network that hardly loses to the best, and all scores.

    Scores are exact leave-one-out scores of one head on all taps, on training rows alone.

    ``candidates``: of the same catalog, or of parts of it. ``places``: where the rows stand in the
    features of each candidate, shape (n,) each; None where all have every row. ``rows``, shape
    (n,): training rows. ``tie``: a cheaper
    network may lose this much, and at most one paired error. ``threads``: how many networks are
    looked at at a time.
    """
    groups = problem.groups[rows]
    own = problem.image_weights(rows)
    labelled = Labelled(problem.target, problem.labels[rows], groups, own, problem.metric, own)
    tasks = [
        partial(
            probe,
            ALL,
            frozen.features.table(list(frozen.features.slices), where),
            labelled,
            blocks=list(frozen.features.slices.values()),
        )
        for frozen, where in zip(candidates, places or [rows] * len(candidates), strict=True)
    ]
    probes = side_by_side(tasks, threads=threads)
    best = max(probes, key=lambda p: p.evidence.reached)
    cheapest = sorted(range(len(candidates)), key=lambda i: candidates[i].network.macs)
    losses = [paired_difference(best.gains, p.gains, groups=groups) for p in probes]
    chosen = next(i for i in cheapest if _hardly_loses(*losses[i], tie))
    results = [
        NetworkResult(
            backbone=frozen.network.name,
            input_size=frozen.network.preprocessing.size,
            macs=frozen.network.macs,
            accuracy=found.evidence.accuracy,
            standard_error=found.evidence.reached_error,
            chosen=i == chosen,
            interval=_interval(found.correct, groups) if labelled.plain else None,
            images=len(rows),
            behind=behind,
            behind_error=error,
            score=found.evidence.score,
        )
        for i, (frozen, found, (behind, error)) in enumerate(
            zip(candidates, probes, losses, strict=True)
        )
    ]
    return candidates[chosen], results


def sampled(problem: Problem, rows: IntArray, most: int) -> IntArray:
    """Return at most ``most`` of some rows, every class by its share, the same every time.

    Sorted; all of them where they are not more.
    """
    if len(rows) <= most:
        return np.sort(rows)
    order = generator("compared networks", problem.seed).permutation(len(rows))
    labels = problem.target.strata(problem.labels[rows])[order]
    # the k-th image of every class stands at the same share of its class
    places = np.empty(len(rows))
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        places[where] = (np.arange(len(where)) + 0.5) / len(where)
    kept = np.argsort(places, kind="stable")[:most]
    return np.sort(rows[order[kept]])


def _hardly_loses(loss: float, error: float, tie: float) -> bool:
    return loss <= min(error, tie) or loss <= 0


def _interval(correct: BoolArray, groups: IntArray) -> tuple[float, float]:
    worth = effective_count(correct, groups)
    return wilson(float(correct.mean()) * worth, worth)
