"""Likely neighbours among many vectors: those that share a leaf of one of several trees.

Comparing all pairs takes time that grows with the square of their number. Here every tree
divides the vectors in two, again and again, along an axis on which they are spread, until a leaf
holds a few hundred; only vectors of one leaf are compared. Two that are much closer to each other
than to the rest are rarely divided, and hardly ever by every tree (Silpa-Anan and Hartley,
"Optimised KD-trees for fast image descriptor matching", CVPR 2008).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from frostline.core.arrays import BoolArray, IntArray
from frostline.data.duplicates.descriptors import Float32, squared_distances

#: trees; a pair is missed only if each of them divides it
TREES = 8
#: vectors that a leaf holds, at most
LEAF = 256
_AXES = 5
# trees would all divide the same pairs if they always divided in the middle
_SHARE = (0.35, 0.65)
_SAMPLE = 256


def have_a_near_one(points: Float32, *, bound: float) -> BoolArray:
    """Say which vectors have another one within a squared distance of ``bound``.

    ``points``, shape (n, d): along axes of unequal spread, such as principal ones. The result has
    shape (n,).
    """
    near = np.zeros(len(points), dtype=np.bool_)
    for tree in range(TREES):
        for leaf in leaves(points, tree):
            vectors = points[leaf]
            squared = squared_distances(vectors, vectors)
            np.fill_diagonal(squared, np.inf)
            near[leaf] |= squared.min(axis=1) <= bound
    return near


def nearest_in_leaves(points: Float32, rows: IntArray, rank: int) -> tuple[IntArray, Float32]:
    """Return the ``rank`` nearest others that each of ``rows`` meets in a leaf, nearest first.

    Parameters
    ----------
    points : ndarray of shape (n, d), float32
    rows : int array of shape (r,)
        Ascending.

    Returns
    -------
    neighbours : ndarray of shape (r, rank), int64
        -1 where a row meets fewer others.
    squared : ndarray of shape (r, rank), float32
        Infinite there.
    """
    place = np.full(len(points), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    neighbours = np.full((len(rows), rank), -1, dtype=np.int64)
    distances = np.full((len(rows), rank), np.inf, dtype=np.float32)
    for tree in range(TREES):
        for leaf in leaves(points, tree):
            at = np.flatnonzero(place[leaf] >= 0)
            if not len(at):
                continue
            squared = squared_distances(points[leaf[at]], points[leaf])
            squared[np.arange(len(at)), at] = np.inf
            count = min(rank, len(leaf))
            near = np.argpartition(squared, count - 1, axis=1)[:, :count]
            own = place[leaf[at]]
            neighbours[own], distances[own] = _nearest_of_both(
                np.concatenate([neighbours[own], leaf[near]], axis=1),
                np.concatenate([distances[own], np.take_along_axis(squared, near, axis=1)], axis=1),
                rank,
            )
    return np.where(np.isfinite(distances), neighbours, -1), distances


def leaves(points: Float32, tree: int) -> Iterator[IntArray]:
    """Yield the positions in every leaf of one tree; together they are all positions, once.

    Every division takes one of the five axes with the largest spread there and a share of 35 to
    65 %, drawn by the number of the tree, so each tree is another one and always the same.
    """
    rng = np.random.default_rng([tree, len(points)])
    waiting = [np.arange(len(points))]
    while waiting:
        inside = waiting.pop()
        if len(inside) <= LEAF:
            yield inside
            continue
        some = inside[rng.integers(0, len(inside), min(len(inside), _SAMPLE))]
        widest = np.argsort(-points[some].var(axis=0), kind="stable")[:_AXES]
        axis, share = int(rng.choice(widest)), rng.uniform(*_SHARE)
        cut = int(len(inside) * share)
        order = np.argpartition(points[inside, axis], cut)
        waiting += [inside[order[cut:]], inside[order[:cut]]]


def _nearest_of_both(ids: IntArray, squared: Float32, rank: int) -> tuple[IntArray, Float32]:
    """Return the nearest ``rank`` of each row, nearest first, each neighbour once."""
    order = np.argsort(ids, axis=1, kind="stable")
    ids, squared = np.take_along_axis(ids, order, 1), np.take_along_axis(squared, order, 1)
    squared[:, 1:][ids[:, 1:] == ids[:, :-1]] = np.inf
    order = np.argsort(squared, axis=1, kind="stable")[:, :rank]
    return np.take_along_axis(ids, order, 1), np.take_along_axis(squared, order, 1)
