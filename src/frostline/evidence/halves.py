"""Halves of the rows: stratified by class, with whole groups."""

from __future__ import annotations

import numpy as np

from frostline.core.arrays import BoolArray, IntArray
from frostline.core.rng import Stream, generator


def half_of(labels: IntArray, groups: IntArray, *, rng: np.random.Generator) -> BoolArray:
    """Draw half of the rows, stratified by class, with whole groups.

    ``labels`` and ``groups``, shape (n,): a group belongs to the class of its first row. The result
    has shape (n,).
    """
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    class_of_group = labels[first]
    chosen = np.zeros(len(first), dtype=bool)
    by_class = np.argsort(class_of_group, kind="stable")
    borders = np.flatnonzero(np.diff(class_of_group[by_class])) + 1
    for of_class in np.split(by_class, borders):
        members = rng.permutation(of_class)
        # an odd one out goes either way, so that rare classes are not always in or always out
        count = (len(members) + int(rng.integers(2))) // 2
        chosen[members[:count]] = True
    return chosen[codes]


def halved_to(
    limit: int, labels: IntArray, groups: IntArray, *, stream: Stream, seed: int
) -> IntArray:
    """Return positions: all of them, or a half of a half ... until at most ``limit`` are left."""
    kept = np.arange(len(labels))
    draw = 0
    while len(kept) > limit:
        kept = kept[half_of(labels[kept], groups[kept], rng=generator(stream, seed, draw))]
        draw += 1
    return kept
