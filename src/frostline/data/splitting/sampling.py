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
