"""Clusters and their order, against SciPy's clusters and against all orders that a tree allows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from frostline.core.arrays import FloatArray
from frostline.report.linkage import Cluster, average_linkage, cut, optimal_order


def _distances(n: int, seed: int) -> FloatArray:
    values = np.random.default_rng(seed).random((n, n))
    values = (values + values.T) / 2
    np.fill_diagonal(values, 0.0)
    return values


def _length(order: list[int], distance: FloatArray) -> float:
    return sum(float(distance[a, b]) for a, b in pairwise(order))


def _allowed(cluster: Cluster) -> list[list[int]]:
    if cluster.parts is None:
        return [cluster.leaves.tolist()]
    first, second = (_allowed(part) for part in cluster.parts)
    return [a + b for a in first for b in second] + [b + a for a in first for b in second]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 60])
@pytest.mark.parametrize("seed", range(4))
def test_clusters_are_those_of_scipy(n: int, seed: int) -> None:
    distance = _distances(n, seed)
    tree = average_linkage(distance)
    assert sorted(tree.leaves.tolist()) == list(range(n))
    for height in (0.2, 0.4, 0.5):
        own = np.empty(n, dtype=np.int64)
        for number, cluster in enumerate(cut(tree, height)):
            own[cluster.leaves] = number
        if n > 1:
            theirs = fcluster(linkage(squareform(distance), "average"), height, "distance")
            assert np.array_equal(own[:, None] == own, theirs[:, None] == theirs)


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("seed", range(4))
def test_the_order_is_the_shortest_of_all_that_the_tree_allows(n: int, seed: int) -> None:
    distance = _distances(n, seed)
    tree = average_linkage(distance)
    order, allowed = optimal_order(tree, distance), _allowed(tree)
    assert order in allowed
    assert _length(order, distance) == pytest.approx(min(_length(o, distance) for o in allowed))


def test_ties_and_classes_that_nothing_confuses_do_no_harm() -> None:
    distance = np.ones((50, 50)) - np.eye(50)
    distance[3, 40] = distance[40, 3] = 0.5
    tree = average_linkage(distance)
    order = optimal_order(tree, distance)
    assert sorted(order) == list(range(50))
    assert abs(order.index(3) - order.index(40)) == 1
    assert [len(c.leaves) for c in cut(tree, 0.7)].count(2) == 1
