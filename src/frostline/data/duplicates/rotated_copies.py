"""Find copies that were mirrored or turned by quarters, as augmentation before a split leaves them.

A thumbnail is square and shows the whole picture, so mirroring the picture mirrors it, whatever the
picture's shape. Descriptors hold sums over blocks of it, so they are turned by exchanging entries.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.data.decoding.thumbnails import SIDE
from frostline.data.duplicates.descriptors import (
    Descriptors,
    Flat,
    Float32,
    Float64,
    squared_distances,
)

Turn = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

#: all ways to lay a square on itself, but as it is; a quarter turn stands for its inverse as well
TURNS: dict[str, Turn] = {
    "mirrored": lambda x: x[:, :, ::-1],
    "upside down": lambda x: x[:, ::-1],
    "half a turn": lambda x: x[:, ::-1, ::-1],
    "a quarter turn": lambda x: x.swapaxes(1, 2)[:, ::-1],
    "transposed": lambda x: x.swapaxes(1, 2),
    "transposed the other way": lambda x: x.swapaxes(1, 2)[:, ::-1, ::-1],
}
_BLOCK_ENTRIES = 1 << 22
_BLOCK_ROWS = 256
_ENTRIES = SIDE * SIDE * 3
_LUMA = 8
_COLOUR = 4
# rounding in float32 must not lose a pair at the bound
_ROUNDING = 1e-5


def turned_pairs(
    flat: Flat, distinct: IntArray, descriptors: Descriptors, reach: Float64
) -> tuple[IntArray, IntArray, Float64]:
    """Return the pairs of which one, mirrored or turned, lies within reach of the other.

    Parameters
    ----------
    flat : ndarray of shape (N, 3072), uint8
        Thumbnails.
    distinct : int array of shape (n,)
        Where in ``flat`` the described thumbnails are.
    descriptors : Descriptors
        Of those n.
    reach : ndarray of shape (n,)
        Largest distance of each to a copy, of vectors of length one; both of a pair must agree.

    Returns
    -------
    left, right : int arrays of shape (p,)
        In [0, n); each pair once, the smaller first.
    distance : ndarray of shape (p,)
        The least over all turns.
    """
    n = len(distinct)
    keys, found = [np.empty(0, np.int64)], [np.empty(0)]
    for turn in TURNS.values():
        turned = turned_descriptors(descriptors.values, turn)
        rows, others = _within(descriptors.values, turned, reach.astype(np.float32))
        distances = _turned_distances(flat, distinct, descriptors, rows, others, turn)
        near = distances <= np.minimum(reach[rows], reach[others])
        rows, others = rows[near], others[near]
        keys.append(np.minimum(rows, others) * n + np.maximum(rows, others))
        found.append(distances[near])
    key, distance = np.concatenate(keys), np.concatenate(found)
    order = np.lexsort((distance, key))
    # the first of each pair is its least distance
    pairs, first = np.unique(key[order], return_index=True)
    return pairs // n, pairs % n, distance[order][first]


def turned_descriptors(values: Float32, turn: Turn) -> Float32:
    """Return descriptors (n, 96) of the same thumbnails turned."""
    n, luma = len(values), _LUMA * _LUMA
    places = turn(np.arange(luma).reshape(1, _LUMA, _LUMA)).reshape(-1)
    # two colours lie side by side at every place
    colours = turn(np.arange(2 * _COLOUR**2).reshape(1, _COLOUR, _COLOUR, 2)).reshape(-1)
    found: Float32 = values[:, np.concatenate([places, luma + colours])]
    return found.reshape(n, -1)


def _within(values: Float32, turned: Float32, reach: Float32) -> tuple[IntArray, IntArray]:
    """Positions whose descriptors lie within reach of those of turned others."""
    rows, others = [], []
    step = max(16, _BLOCK_ENTRIES // max(1, len(values)))
    for start in range(0, len(values), step):
        stop = min(len(values), start + step)
        squared = squared_distances(values[start:stop], turned)
        # a picture that is symmetric is no copy of itself
        squared[np.arange(stop - start), np.arange(start, stop)] = np.inf
        bound = np.minimum(reach[start:stop, None], reach)
        near = np.argwhere(squared <= bound**2 + _ROUNDING)
        rows.append(near[:, 0] + start)
        others.append(near[:, 1])
    return np.concatenate(rows), np.concatenate(others)


def _turned_distances(
    flat: Flat,
    distinct: IntArray,
    descriptors: Descriptors,
    rows: IntArray,
    others: IntArray,
    turn: Turn,
) -> Float64:
    """Distances of whole vectors, the second of each pair turned; ``rows`` ascend.

    Every picture of a block is opened once, however many pairs it has: in sets of much the same
    picture nearly all pairs are near.
    """
    cosine = np.empty(len(rows))
    edges = np.searchsorted(rows, np.arange(0, len(distinct) + _BLOCK_ROWS, _BLOCK_ROWS))
    for start, stop in pairwise(edges.tolist()):
        firsts, first = np.unique(rows[start:stop], return_inverse=True)
        seconds, second = np.unique(others[start:stop], return_inverse=True)
        own = _centred(flat, distinct, descriptors, firsts).reshape(-1, _ENTRIES)
        for part in range(0, len(seconds), _BLOCK_ROWS):
            near = turn(_centred(flat, distinct, descriptors, seconds[part : part + _BLOCK_ROWS]))
            products = own @ near.reshape(-1, _ENTRIES).T
            here = np.flatnonzero((second >= part) & (second < part + _BLOCK_ROWS))
            cosine[start + here] = products[first[here], second[here] - part]
    distances: Float64 = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))
    return distances


def _centred(flat: Flat, distinct: IntArray, descriptors: Descriptors, rows: IntArray) -> Float64:
    """Whole vectors of length one as pictures, (m, 32, 32, 3)."""
    pixels = flat[distinct[rows]].astype(np.float64).reshape(-1, SIDE, SIDE, 3)
    pixels -= descriptors.means[rows][:, None, None, :]
    scaled: Float64 = pixels / np.maximum(descriptors.lengths[rows], 1e-6)[:, None, None, None]
    return scaled
