"""What the last doubling of the data brought, by leaving out halves and smaller parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from frostline.core.arrays import BoolArray, IntArray
from frostline.core.plan import ProbeEvidence
from frostline.core.rng import generator
from frostline.core.threads import side_by_side
from frostline.data.splitting.stratified import stratified_folds
from frostline.evidence.halves import half_of
from frostline.evidence.probes import ALL, probe
from frostline.stats.ridge import ridge_without
from frostline.stats.selection import Features, part_of
from frostline.targets.labelled import Labelled

#: divisions of the rows that are averaged
_HALVES = 3
#: below so many rows a fold may be left out as a whole
_FOLDS_BELOW = 2000
_ONE_DIVISION_FROM = 500
_FEWEST_FOLDS, _MOST_FOLDS = 3, 10
# beyond this many rows one half says as much: its accuracy is sure to well under a point
_ONE_HALF_FROM = 5000


def last_doubling(
    features: Features,
    labelled: Labelled,
    *,
    blocks: Sequence[slice],
    seed: int,
    whole: ProbeEvidence,
    threads: int = 1,
) -> float | None:
    """Return the accuracy that the last doubling of the rows brought to a head on ``features``.

    Below 2000 rows, accuracy without each half is compared with accuracy without each of 3 to 10
    folds, both exact and balanced over classes, and scaled to a doubling. Leaving single rows out
    would tell less than the truth there: the class of the left-out row is always short of one, and
    the fewer rows a class has the more that hurts. From 2000 on leave-one-out accuracy on halves
    is compared with that on all rows, which is ``whole``; its alpha serves the folds. None if
    there are too few rows or groups for halves.
    """
    target, groups = labelled.target, labelled.groups
    labels = target.strata(labelled.truth)
    if len(labels) >= _FOLDS_BELOW:
        half = _on_halves(features, labelled, blocks, seed, threads)
        return None if half is None else whole.accuracy - half
    smallest = int(np.bincount(labels)[np.unique(labels)].min())
    if len(np.unique(groups)) < 2 * _FEWEST_FOLDS:
        return None
    n_folds = min(max(smallest, _FEWEST_FOLDS), _MOST_FOLDS)
    draws = range(_HALVES if len(labels) < _ONE_DIVISION_FROM else 1)
    divisions = [_folds(labels, groups, k, draw, seed) for k in (n_folds, 2) for draw in draws]
    outputs = ridge_without(
        features,
        labelled.matrix,
        divisions,
        alpha=whole.alpha,
        weights=labelled.weights,
        blocks=blocks,
    )
    right = [target.accuracy(output, labelled.truth) for output in outputs]
    many, few = np.mean(right[: len(draws)]), np.mean(right[len(draws) :])
    return float(many - few) / float(np.log2(2.0 * (n_folds - 1) / n_folds))


def _folds(labels: IntArray, groups: IntArray, n_folds: int, draw: int, seed: int) -> IntArray:
    """Return the fold of every row: balanced over classes, with whole groups."""
    names = [f"{draw}:{row}" for row in range(len(labels))]
    fold_of = np.zeros(len(labels), dtype=np.int64)
    parts = stratified_folds(labels, groups, names, n_folds=n_folds, seed=seed)
    for fold, (_, judge) in enumerate(parts):
        fold_of[judge] = fold
    return fold_of


def _on_halves(
    features: Features, labelled: Labelled, blocks: Sequence[slice], seed: int, threads: int
) -> float | None:
    """Mean leave-one-out accuracy on halves of the rows."""
    labels, groups = labelled.target.strata(labelled.truth), labelled.groups
    draws = range(_HALVES if len(labels) < _ONE_HALF_FROM else 1)
    halves = [
        half_of(labels, groups, rng=generator("halves of the curve", seed, draw)) for draw in draws
    ]

    def accuracy(half: BoolArray) -> float:
        kept = part_of(features, np.flatnonzero(half))
        return probe(ALL, kept, labelled[half], blocks=blocks).evidence.accuracy

    tasks = [partial(accuracy, half) for half in halves if len(np.unique(groups[half])) >= 2]
    found = side_by_side(tasks, threads=threads)
    return float(np.mean(found)) if found else None
