"""Join overlapping sets of positions into disjoint groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from frostline.core.arrays import FloatArray, IntArray

Float64 = FloatArray


def union_find(n: int, sets: Iterable[Sequence[int]]) -> IntArray:
    """Return a group number for each of ``n`` positions; positions of one set share it.

    Numbers count up from 0 in order of first appearance.
    """
    # only members of sets: most positions are alone
    parent: dict[int, int] = {}

    def root(position: int) -> int:
        while (above := parent.setdefault(position, position)) != position:
            parent[position] = parent[above]
            position = above
        return position

    for members in sets:
        for member in members[1:]:
            one, other = root(members[0]), root(member)
            parent[max(one, other)] = min(one, other)
    # the root of a group is its first position, so the order of roots is that of appearance
    first = np.arange(n)
    for position in parent:
        first[position] = root(position)
    return np.unique(first, return_inverse=True)[1].astype(np.int64)


def duplicated_groups(numbers: IntArray) -> list[list[int]]:
    """Return the positions of every number that occurs more than once, by first appearance."""
    order = np.argsort(numbers, kind="stable")
    borders = np.flatnonzero(np.diff(numbers[order])) + 1
    sizes = np.diff([0, *borders, len(order)])
    starts = np.append(0, borders)[sizes > 1]
    found = [
        order[start : start + size].tolist()
        for start, size in zip(starts, sizes[sizes > 1], strict=True)
    ]
    return sorted(found)


def complete_linkage(left: IntArray, right: IntArray, distance: Float64) -> list[list[int]]:
    """Merge from the closest pair up; two groups merge only if all their pairs are confirmed."""
    confirmed = {(int(a), int(b)) for a, b in zip(left, right, strict=True)}
    home: dict[int, list[int]] = {}
    for position in np.argsort(distance, kind="stable"):
        a, b = int(left[position]), int(right[position])
        one, other = home.setdefault(a, [a]), home.setdefault(b, [b])
        if one is other:
            continue
        if all((min(x, y), max(x, y)) in confirmed for x in one for y in other):
            one.extend(other)
            for member in other:
                home[member] = one
    distinct = {id(cluster): cluster for cluster in home.values() if len(cluster) > 1}
    return [sorted(cluster) for cluster in distinct.values()]
