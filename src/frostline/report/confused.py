"""Which classes are confused with each other, and an order that puts them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from frostline.report.linkage import average_linkage, cut, optimal_order

#: classes of a group take each other for one another at this rate on average, at least
_RATE = 0.05
# an optimal order of the leaves takes cubic time; beyond this many the plain one must do
_OPTIMAL_UP_TO = 300


@dataclass(frozen=True)
class Pair:
    """Images of one class that were taken for another one; ``share`` of their class, in [0, 1]."""

    true: int
    predicted: int
    count: int
    share: float


@dataclass(frozen=True)
class Grouping:
    """An order of the classes, and the groups within it that are confused with each other.

    ``groups`` are runs of positions in ``order``: first and one past the last.
    """

    order: tuple[int, ...]
    groups: tuple[tuple[int, int], ...]


def top_pairs(confusion: Sequence[Sequence[int]], *, limit: int = 15) -> list[Pair]:
    """Return the most frequent mistakes; those of the same count in the order of the classes."""
    counts = np.asarray(confusion, dtype=np.int64)
    if not counts.size:
        return []
    totals = np.maximum(counts.sum(axis=1), 1)
    wrong = counts - np.diag(counts.diagonal())
    true, predicted = np.nonzero(wrong)
    order = np.argsort(-wrong[true, predicted], kind="stable")[:limit]
    return [
        Pair(
            int(true[i]),
            int(predicted[i]),
            int(wrong[true[i], predicted[i]]),
            float(wrong[true[i], predicted[i]] / totals[true[i]]),
        )
        for i in order
    ]


def group(confusion: Sequence[Sequence[int]]) -> Grouping:
    """Order the classes so that those confused with each other are neighbours.

    Average linkage over the mean of both error rates of a pair; groups are cut where that falls
    below 5 %. Without any mistake the order stays as it is.

    ``confusion``: rows are the truth.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    n = len(counts)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    mutual = (rates + rates.T) / 2
    np.fill_diagonal(mutual, 0.0)
    if n < 3 or not mutual.any():
        whole = mutual.any() and mutual.max() >= _RATE
        return Grouping(tuple(range(n)), ((0, n),) if whole else ())
    distance = 1.0 - mutual
    np.fill_diagonal(distance, 0.0)
    tree = average_linkage(distance)
    order = tree.leaves.tolist()
    if n <= _OPTIMAL_UP_TO:
        order = optimal_order(tree, distance)
    label_of = np.empty(n, dtype=np.int64)
    for number, cluster in enumerate(cut(tree, 1.0 - _RATE)):
        label_of[cluster.leaves] = number
    labels = label_of[order]
    edges = [0, *(int(i) + 1 for i in np.flatnonzero(np.diff(labels))), n]
    runs = [(a, b) for a, b in pairwise(edges) if b - a > 1]
    return Grouping(tuple(order), tuple(runs))
