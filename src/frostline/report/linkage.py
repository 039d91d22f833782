"""Clusters by average linkage, and the order of their leaves that puts near ones side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Cluster:
    """Some leaves, and the two clusters that were joined into it.

    ``leaves``, shape (m,): in the order of the tree. ``height``: mean distance between the leaves
    of the two; 0 for a single leaf. ``parts``: the two, or none.
    """

    leaves: IntArray
    height: float = 0.0
    parts: tuple[Cluster, Cluster] | None = None


def average_linkage(distance: FloatArray) -> Cluster:
    """Join the two clusters that are nearest on average, again and again; return the last one.

    ``distance``, shape (n, n): symmetric, n at least 1.
    """
    n = len(distance)
    between = distance.astype(np.float64)
    np.fill_diagonal(between, np.inf)
    clusters: list[Cluster | None] = [Cluster(np.array([i])) for i in range(n)]
    nearest = between.argmin(axis=1)
    for _ in range(n - 1):
        a = int(between[np.arange(n), nearest].argmin())
        b = int(nearest[a])
        a, b = min(a, b), max(a, b)
        first, second = clusters[a], clusters[b]
        if first is None or second is None:
            raise ValueError("Distances must be finite.")
        sizes = len(first.leaves), len(second.leaves)
        joined = np.concatenate([first.leaves, second.leaves])
        clusters[a] = Cluster(joined, float(between[a, b]), (first, second))
        clusters[b] = None
        merged = (sizes[0] * between[a] + sizes[1] * between[b]) / sum(sizes)
        between[a], between[:, a] = merged, merged
        between[b], between[:, b] = np.inf, np.inf
        between[a, a] = np.inf
        # only what was nearest to one of the two can have another nearest now, or be nearer to both
        stale = np.flatnonzero((nearest == a) | (nearest == b))
        nearest[stale] = between[stale].argmin(axis=1)
        nearest[a] = between[a].argmin()
        closer = between[:, a] < between[np.arange(n), nearest]
        nearest[closer] = a
    found = clusters[0]
    if found is None:
        raise ValueError("Distances must be finite.")
    return found


def cut(cluster: Cluster, height: float) -> list[Cluster]:
    """Return the largest clusters within one that were joined at most at ``height``."""
    open_, found = [cluster], []
    while open_:
        one = open_.pop()
        if one.parts is None or one.height <= height:
            found.append(one)
        else:
            open_ += reversed(one.parts)
    return found


def optimal_order(cluster: Cluster, distance: FloatArray) -> list[int]:
    """Return the order of the leaves, of all that the tree allows, with the nearest neighbours.

    The sum of the distances between neighbours is least (Bar-Joseph, Gifford and Jaakkola 2001);
    takes cubic time.
    """
    # cost[i, j]: of the best order of a cluster's leaves that begins with the i-th, ends with the
    # j-th; kept for every cluster, parts before the whole
    costs: dict[int, FloatArray] = {}
    for one in _parts_first(cluster):
        if one.parts is None:
            costs[id(one)] = np.zeros((1, 1))
            continue
        first, second = one.parts
        m = len(first.leaves)
        gap = distance[np.ix_(first.leaves, second.leaves)]
        across = _least_sums(_least_sums(costs[id(first)], gap), costs[id(second)])
        cost = np.full((len(one.leaves), len(one.leaves)), np.inf)
        cost[:m, m:], cost[m:, :m] = across, across.T
        costs[id(one)] = cost
    start, stop = np.unravel_index(costs[id(cluster)].argmin(), costs[id(cluster)].shape)
    return _traced(cluster, int(start), int(stop), costs, distance)


def _traced(
    cluster: Cluster, start: int, stop: int, costs: dict[int, FloatArray], distance: FloatArray
) -> list[int]:
    """Return the best order that begins and ends with the given leaves of the cluster."""
    order: list[int] = []
    # the last one is looked at first
    open_ = [(cluster, start, stop)]
    while open_:
        one, i, j = open_.pop()
        if one.parts is None:
            order.append(int(one.leaves[0]))
            continue
        first, second = one.parts
        m = len(first.leaves)
        if i >= m:
            first, second, i, j = second, first, i - m, j + len(second.leaves)
            m = len(first.leaves)
        j -= m
        gap = distance[np.ix_(first.leaves, second.leaves)]
        total = costs[id(first)][i][:, None] + gap + costs[id(second)][:, j]
        end, begin = (int(k) for k in np.unravel_index(total.argmin(), total.shape))
        open_ += [(second, begin, j), (first, i, end)]
    return order


def _parts_first(cluster: Cluster) -> Sequence[Cluster]:
    open_, found = [cluster], []
    while open_:
        one = open_.pop()
        found.append(one)
        open_ += one.parts or ()
    return found[::-1]


def _least_sums(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return ``min over k of left[i, k] + right[k, j]``, shape (n, m)."""
    found = np.empty((left.shape[0], right.shape[1]))
    for i, row in enumerate(left):
        found[i] = (row[:, None] + right).min(axis=0)
    return found
