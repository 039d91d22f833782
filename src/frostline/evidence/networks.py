"""Which network at which input size: compared on frozen features, before anything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.compute.passes import FeatureStore
from frostline.core.plan import NetworkResult
from frostline.evidence.probes import ALL, probe
from frostline.stats.intervals import paired_difference

IntArray = npt.NDArray[np.int64]


def best_network(
    stores: Sequence[FeatureStore],
    rows: IntArray,
    labels: IntArray,
    groups: IntArray,
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
    labels, groups : int arrays
        Of the whole catalog.
    tie : float
        A cheaper network may lose this much, and at most one paired error.
    """
    n_classes = len(stores[0].catalog.classes)
    probes = [
        probe(
            ALL,
            store.table(list(store.slices), rows),
            labels[rows],
            n_classes=n_classes,
            groups=groups[rows],
            blocks=list(store.slices.values()),
        )
        for store in stores
    ]
    best = max(probes, key=lambda p: p.evidence.accuracy)
    cheapest = sorted(range(len(stores)), key=lambda i: stores[i].network.macs)
    chosen = next(
        i for i in cheapest if _hardly_loses(best.correct, probes[i].correct, groups[rows], tie)
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
    best: npt.NDArray[np.bool_],
    this: npt.NDArray[np.bool_],
    groups: IntArray,
    tie: float,
) -> bool:
    loss, error = paired_difference(best, this, groups=groups)
    return loss <= min(error, tie) or loss <= 0
