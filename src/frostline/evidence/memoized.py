"""Evidence that was collected before, on the same images by the same code, is read back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.core.arrays import IntArray
from frostline.core.plan import EvidenceSummary
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.evidence.collect import collect_evidence
from frostline.evidence.evidence import Evidence
from frostline.evidence.flips import flip_is_safe
from frostline.evidence.learned_from import LearnedFrom
from frostline.evidence.source_pictures import SourcePictures

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen


EVIDENCE = Memo(name="evidence", version=11, libraries=NETWORKS, result=Evidence)


def gather_evidence(
    problem: Problem,
    frozen: Frozen,
    rows: IntArray,
    runtime: Runtime,
    *,
    adapt_when: Collection[str],
    mirrored: bool,
    known: EvidenceSummary | None = None,
    learned_from: LearnedFrom = None,
) -> Evidence:
    """Collect the evidence on some rows, or read back what was collected on the same before.

    - ``rows``: shape (n,).
    - ``adapt_when``: labels of the shift at which re-estimated norm statistics are tried.
    - ``mirrored``: whether to ask if mirroring is harmless.
    - ``known``: of all rows, when these are a fold of them. Nothing is kept then.
    - ``learned_from``: what stands for the pretraining of a network that stores no statistics.
    """
    # names what the classes look like
    source = frozen.network.source_classifier() if known is None else None

    def collect() -> Evidence:
        found = collect_evidence(
            problem,
            frozen,
            rows,
            runtime,
            known=known,
            source=source,
            adapt_when=adapt_when,
            learned_from=learned_from,
        )
        safe = flip_is_safe(problem, frozen, found, runtime) if mirrored else True
        return replace(found, flip_safe=safe)

    if known is not None:
        return collect()
    inputs = {
        **evidence_inputs(problem, rows),
        "features": [frozen.features.key, runtime.numerics_id],
        "source": source,
        "adapt_when": sorted(adapt_when),
        "mirrored": mirrored,
        "learned from": learned_from.digests
        if isinstance(learned_from, SourcePictures)
        else learned_from,
    }
    # another catalog may number the same images otherwise
    return replace(memoize(EVIDENCE, inputs, collect), rows=rows)


def evidence_inputs(problem: Problem, rows: IntArray) -> dict[str, object]:
    """Return all of a problem that the evidence on some rows turns on."""
    # only which rows share a group counts, not the group's number
    _, first, same = np.unique(problem.groups[rows], return_index=True, return_inverse=True)
    return {
        "digests": problem.digests(rows),
        "classes": problem.classes,
        "task": problem.target.task,
        "labels": problem.labels[rows],
        "groups": first[same],
        "weights": problem.target.output_weights(problem.labels[rows], problem.weights),
        "image weights": problem.image_weights(rows),
        "seed": problem.seed,
        "metric": [problem.metric.name, getattr(problem.metric, "costs", ())],
    }
