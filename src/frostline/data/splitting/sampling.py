"""A fair sample of images that turns on their content alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frostline.core.arrays import IntArray


def chosen_rows(digests: Sequence[str], rows: IntArray, limit: int) -> IntArray:
    """Return at most ``limit`` of ``rows``: different images, those with the smallest digests.

    Digests are as good as random numbers, so this is a fair sample, the same one for the same
    images whatever they are called and however they are ordered.
    """
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(digests[row], int(row))
    return np.array([first[d] for d in sorted(first)[:limit]], dtype=np.int64)


def stratified_rows(
    digests: Sequence[str], rows: IntArray, strata: IntArray, limit: int, *, least: int = 4
) -> IntArray:
    """Return at most ``limit`` of ``rows``: different images, each stratum by its share.

    ``strata``, shape (len(rows),): where there are so many that fewer than ``least`` images would
    fall to each, the largest ones stand for all. As for :func:`chosen_rows`, names and order
    change nothing.
    """
    stratum = dict(zip(np.asarray(rows).tolist(), np.asarray(strata).tolist(), strict=True))
    members: dict[int, list[int]] = {}
    for row in chosen_rows(digests, rows, len(rows)).tolist():
        members.setdefault(stratum[row], []).append(row)
    largest = sorted(members.values(), key=lambda own: (-len(own), digests[own[0]]))
    # spread evenly from 0 to 1, the first images of every stratum are as many as its share
    places = [
        ((number + 0.5) / len(own), digests[row], row)
        for own in largest[: max(1, limit // least)]
        for number, row in enumerate(own)
    ]
    return np.array([row for *_, row in sorted(places)[:limit]], dtype=np.int64)
