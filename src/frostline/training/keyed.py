"""Randomness that depends on a key only: never on workers, batch order or what ran before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def keyed_number(*key: str | int) -> int:
    """Return a number in [0, 2**63) that is as good as random, but always the same for a key."""
    text = "\x1f".join(str(part) for part in key).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def epoch_order(digests: Sequence[str], *, seed: int, epoch: int) -> IntArray:
    """Return positions in the order in which one epoch shows its images.

    Every image draws its own number, so the order of two images stays the same when others are
    added or removed. Images of equal content keep their order.

    Parameters
    ----------
    digests : sequence of str
        One for each image.
    seed, epoch : int
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
