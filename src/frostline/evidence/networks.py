"""Which network at which input size: compared on frozen features, before anything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.backbones.load.image_sizes import made_for_one_size
from frostline.backbones.network import Network
from frostline.compute.passes import FeatureStore
from frostline.core.errors import BackboneError, CutError
from frostline.core.plan import NetworkResult, Plan
from frostline.core.progress import Progress
from frostline.core.settings import Settings
from frostline.evidence.probes import ALL, probe
from frostline.stats.intervals import paired_difference
from frostline.strategy.thresholds import FITTED, Thresholds

IntArray = npt.NDArray[np.int64]

#: ``best`` also looks at images this much larger than in pretraining (224 becomes 288)
_LARGER = 9 / 7
_STEP = 32


def open_networks(settings: Settings, plan: Plan | None, progress: Progress) -> list[Network]:
    """Load every network that was named, at every input size that was asked for.

    A given plan settles the size, unless sizes are asked for. With sizes left to us, a network
    that takes only its own is kept at that, with a note.

    Raises
    ------
    BackboneError, CutError
        If a network cannot be found, or does not accept a size that was asked for.
    """
    found = []
    planned = plan is not None and plan.backbone in settings.backbones
    for name in (plan.backbone,) if plan is not None and planned else settings.backbones:
        asked = settings.input_sizes
        if not asked and plan is not None and plan.input_size:
            asked = (plan.input_size,)
        # opening a network takes a second or more, so none is opened at a size that nobody wants
        network = Network.load(name, weights=settings.weights, size=asked[0] if asked else None)
        found.append(network)
        own = network.preprocessing.size
        larger = _larger(own) if settings.effort == "best" and plan is None and not asked else own
        for size in asked[1:] or (larger,):
            if size == own:
                continue
            try:
                found.append(_at(network, name, settings, size))
            except (BackboneError, CutError) as error:
                if asked:
                    raise
                progress.note(f"{name} does not take images of {size} pixels: {error}")
    return found


def _at(network: Network, name: str, settings: Settings, size: int) -> Network:
    """Return the network at another size, as it would be if that alone had been asked for."""
    if not made_for_one_size(network.module):
        return network.at_size(size)
    # embeddings of positions are resampled once, from those that the weights have
    return Network.load(name, weights=settings.weights, size=size)


def best_network(
    stores: Sequence[FeatureStore],
    rows: IntArray,
    labels: IntArray,
    groups: IntArray,
    *,
    thresholds: Thresholds = FITTED,
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
        i
        for i in cheapest
        if _hardly_loses(best.correct, probes[i].correct, groups[rows], thresholds)
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


def in_words(results: Sequence[NetworkResult]) -> list[str]:
    """Say which network was taken, and what the others reached."""
    if len(results) < 2:
        return []
    chosen = next(r for r in results if r.chosen)
    others = ", ".join(
        f"{r.backbone} at {r.input_size} px {r.accuracy:.1%}" for r in results if not r.chosen
    )
    return [
        f"Frozen features of {chosen.backbone} at {chosen.input_size} px reach "
        f"{chosen.accuracy:.1%} ± {chosen.standard_error:.1%} ({others}): it is taken as the "
        "cheapest that is not clearly worse than the best."
    ]


def _hardly_loses(
    best: npt.NDArray[np.bool_],
    this: npt.NDArray[np.bool_],
    groups: IntArray,
    thresholds: Thresholds,
) -> bool:
    loss, error = paired_difference(best, this, groups=groups)
    return loss <= min(error, thresholds.network_tie) or loss <= 0


def _larger(own: int) -> int:
    return max(own, round(own * _LARGER / _STEP) * _STEP)
