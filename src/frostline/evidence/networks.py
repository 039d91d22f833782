"""Which network at which input size: compared on frozen features, before anything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frostline.core.arrays import BoolArray, IntArray
from frostline.core.plan import NetworkResult
from frostline.data.problem import Problem
from frostline.evidence.probes import ALL, probe
from frostline.stats.intervals import paired_difference
from frostline.targets.labelled import Labelled

if TYPE_CHECKING:
    from frostline.compute.passes import FeatureStore


def best_network(
    problem: Problem,
    stores: Sequence[FeatureStore],
    rows: IntArray,
    *,
    tie: float,
) -> tuple[FeatureStore, list[NetworkResult]]:
    """Return the store of the cheapest network that hardly loses to the best, and all scores.

    Scores are exact leave-one-out accuracies of one head on all taps, on training rows alone.

    Parameters
    ----------
    stores : sequence of FeatureStore
        Of the same catalog.
    rows : int array of shape (n,)
        Training rows.
    tie : float
        A cheaper network may lose this much, and at most one paired error.
    """
    groups = problem.groups[rows]
    probes = [
        probe(
            ALL,
            store.table(list(store.slices), rows),
            Labelled(problem.target, problem.labels[rows], groups),
            blocks=list(store.slices.values()),
        )
        for store in stores
    ]
    best = max(probes, key=lambda p: p.evidence.accuracy)
    cheapest = sorted(range(len(stores)), key=lambda i: stores[i].network.macs)
    chosen = next(
        i for i in cheapest if _hardly_loses(best.correct, probes[i].correct, groups, tie)
    )
    results = [
        NetworkResult(
            backbone=store.network.name,
            input_size=store.network.preprocessing.size,
            macs=store.network.macs,
            accuracy=found.evidence.accuracy,
            standard_error=found.evidence.standard_error,
            chosen=i == chosen,
        )
        for i, (store, found) in enumerate(zip(stores, probes, strict=True))
    ]
    return stores[chosen], results


def _hardly_loses(
    best: BoolArray,
    this: BoolArray,
    groups: IntArray,
    tie: float,
) -> bool:
    loss, error = paired_difference(best, this, groups=groups)
    return loss <= min(error, tie) or loss <= 0
