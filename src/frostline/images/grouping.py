"""Join overlapping sets of positions into disjoint groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt


def joined(n: int, sets: Iterable[Sequence[int]]) -> npt.NDArray[np.int64]:
    """Return a group number for each of ``n`` positions; positions of one set share it.

    Numbers count up from 0 in order of first appearance.
    """
    parent = list(range(n))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    for members in sets:
        for member in members[1:]:
            one, other = root(members[0]), root(member)
            parent[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return np.array(
        [numbers.setdefault(root(position), len(numbers)) for position in range(n)],
        dtype=np.int64,
    )
