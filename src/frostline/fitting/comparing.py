"""Choose among several networks on a sample of the training images; what it costs is said first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.compute.frozen import Frozen, run_frozen
from frostline.compute.memory_need import memory_need
from frostline.core.arrays import IntArray
from frostline.core.plan import NetworkResult
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.evidence.networks import COMPARED_IMAGES, best_network, sampled
from frostline.strategy.cost import forward_seconds
from frostline.strategy.thresholds import FITTED
from frostline.wording.evidence import entrants_sentence


@dataclass(frozen=True)
class NetworkCandidate:
    """A network that is compared. ``at_once``: images that memory has room for; None: any."""

    network: FrozenNetwork
    at_once: int | None = None


def cheapest_first(networks: Sequence[FrozenNetwork]) -> list[FrozenNetwork]:
    """Return networks by their work for one image; of equal ones the first named comes first."""
    return sorted(networks, key=lambda network: network.macs)


def compare_networks(
    problem: Problem,
    first: Frozen,
    others: Sequence[NetworkCandidate],
    rows: IntArray,
    runtime: Runtime,
    *,
    preprocessed_bytes: int | None = None,
) -> tuple[Frozen, list[NetworkResult]]:
    """Return the cheapest network that hardly loses to the best, run over all images; and scores.

    Only the network that is taken runs over all images. All are judged on the same training rows,
    at most :data:`COMPARED_IMAGES` of them, drawn class by class. What it costs is told before.

    ``first``: has run over all images. ``rows``, shape (n,): training rows.
    """
    catalog = first.catalog
    sample = sampled(problem, rows, COMPARED_IMAGES)
    costs = {
        candidate.network: (
            forward_seconds(candidate.network.summary(), len(catalog), runtime.device),
            memory_need(candidate.network, len(catalog)).total(),
        )
        for candidate in (NetworkCandidate(first.network), *others)
    }
    runtime.progress.note(
        entrants_sentence(
            [(n.name, n.preprocessing.size, n.macs, *costs[n]) for n in costs],
            images=len(sample),
            of=len(rows),
        )
    )
    wanted = np.zeros(len(catalog), dtype=bool)
    wanted[sample] = True
    part = catalog.only(wanted.tolist())
    candidates = [first]
    for candidate in others:
        candidates.append(
            run_frozen(
                candidate.network,
                part,
                runtime,
                preprocessed_bytes=preprocessed_bytes,
                at_once=candidate.at_once,
            )
        )
    standing = np.arange(len(sample))
    chosen, results = best_network(
        problem,
        candidates,
        sample,
        tie=FITTED.network_tie,
        threads=runtime.threads,
        places=[sample, *(standing for _ in others)],
    )
    results = [
        result.model_copy(update={"seconds": seconds, "memory": memory})
        for result, (seconds, memory) in zip(results, costs.values(), strict=True)
    ]
    if chosen is first:
        return first, results
    at_once = next(e.at_once for e in others if e.network is chosen.network)
    whole = run_frozen(
        chosen.network,
        catalog,
        runtime,
        preprocessed_bytes=preprocessed_bytes,
        at_once=at_once,
    )
    return whole, results


def left_out(candidates: Sequence[tuple[str, int, str]]) -> list[NetworkResult]:
    """Return entries for what could not run: name, size in pixels (0 if unknown) and why."""
    return [
        NetworkResult(
            backbone=name,
            input_size=size,
            macs=0,
            accuracy=None,
            standard_error=None,
            chosen=False,
            left_out=why,
        )
        for name, size, why in candidates
    ]
