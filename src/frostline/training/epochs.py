"""What one epoch shows: in which order, and which view of every image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frostline.core.arrays import IntArray
from frostline.core.rng import keyed_number


def epoch_order(digests: Sequence[str], *, seed: int, epoch: int) -> IntArray:
    """Return positions in the order in which one epoch shows its images.

    Every image draws its own number, so the order of two images stays the same when others are
    added or removed. Images of equal content keep their order.

    ``digests``: one for each image.
    """
    numbers = [keyed_number("order", seed, epoch, digest) for digest in digests]
    return np.argsort(np.array(numbers, dtype=np.int64), kind="stable").astype(np.int64)


def epoch_views(digests: Sequence[str], *, seed: int, epoch: int, views: int) -> IntArray:
    """Return which stored view of every image one epoch shows, in [0, views).

    Every image starts at a random view and goes round from there, so that all its views are
    seen equally often.
    """
    starts = [keyed_number("view", seed, digest) for digest in digests]
    return np.array([(start + epoch) % views for start in starts], dtype=np.int64)
