"""Find copies that were cropped, shifted or turned by some degrees, mirrored or not.

Their pixels lie far apart, so a network's features name the candidates: pairs much closer to each
other than to the rest of the set. Whether one picture then lies over the other, pixel by pixel, is
checked by registration, so that what merely looks alike to the network is no copy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.data.duplicates.descriptors import Float32, Float64, squared_distances
from frostline.data.duplicates.registration import registered_distances

#: largest distance of two pictures that were laid over each other
MAX_DISTANCE = 0.2
#: a candidate is closer than this share of the distance of its background neighbour, and closer
#: than falls together by chance once in so many images; registration has the last word
MAX_RATIO, CHANCE = 0.7, 0.02
BACKGROUND_RANK = 16
#: pairs that are laid over each other, at most, or as many as there are images: the likeliest
MOST_PAIRS = 500
_BLOCK_ENTRIES = 1 << 22
_FIRST_RANK = 4

Pairs = tuple[IntArray, IntArray, Float64]


def moved_pairs(thumbnails: npt.NDArray[np.uint8], features: npt.ArrayLike) -> Pairs:
    """Return the pairs of which one shows a moved part of the other.

    Parameters
    ----------
    thumbnails : ndarray of shape (n, 32, 32, 3), uint8
        Distinct pictures.
    features : array of shape (n, d)
        Of a network, at a depth that knows content.

    Returns
    -------
    left, right : int arrays of shape (p,)
        The smaller first.
    distance : ndarray of shape (p,)
    """
    left, right = _candidates(_scaled(features))
    if not len(left):
        return left, right, np.zeros(0)
    distance = np.full(len(left), np.inf, dtype=np.float32)
    for mirrored in (False, True):
        for one, other in ((left, right), (right, left)):
            open_ = distance > MAX_DISTANCE
            first = thumbnails[one[open_]]
            second = thumbnails[other[open_]]
            if mirrored:
                second = second[:, :, ::-1]
            distance[open_] = np.minimum(distance[open_], registered_distances(first, second))
    kept = distance <= MAX_DISTANCE
    return left[kept], right[kept], distance[kept].astype(np.float64)


def _scaled(features: npt.ArrayLike) -> Float32:
    """Every channel with mean 0 and spread 1; constant ones are left out."""
    values = np.asarray(features, dtype=np.float32)
    spread = values.std(axis=0)
    kept = spread > 1e-6
    found: Float32 = (values[:, kept] - values[:, kept].mean(axis=0)) / spread[kept]
    return found


def _candidates(values: Float32) -> tuple[IntArray, IntArray]:
    """Pairs that are much closer than both of their 16th neighbours, the likeliest first."""
    n = len(values)
    rank = min(BACKGROUND_RANK, n // 4)
    none = np.zeros(0, dtype=np.int64)
    if rank < 1 or not values.shape[1]:
        return none, none
    neighbours = np.empty((n, rank), dtype=np.int64)
    distances = np.empty((n, rank), dtype=np.float32)
    step = max(rank, _BLOCK_ENTRIES // n)
    for start in range(0, n, step):
        stop = min(n, start + step)
        squared = squared_distances(values[start:stop], values)
        squared[np.arange(stop - start), np.arange(start, stop)] = np.inf
        near = np.argpartition(squared, rank - 1, axis=1)[:, :rank]
        order = np.take_along_axis(squared, near, axis=1).argsort(axis=1, kind="stable")
        neighbours[start:stop] = np.take_along_axis(near, order, axis=1)
        distances[start:stop] = np.sqrt(np.take_along_axis(squared, neighbours[start:stop], 1))
    background = distances[:, -1]
    ratio = distances / np.maximum(background[:, None], 1e-6)
    # an image is as far from its neighbour's neighbours as the neighbour is
    ratio = np.maximum(ratio, distances / np.maximum(background[neighbours], 1e-6))
    rows, places = np.nonzero(ratio <= _limit(distances, rank))
    pairs = {
        (min(i, j), max(i, j)): float(r)
        for i, j, r in zip(
            rows.tolist(), neighbours[rows, places].tolist(), ratio[rows, places], strict=True
        )
    }
    likeliest = sorted(pairs, key=lambda pair: (pairs[pair], pair))[: max(MOST_PAIRS, n)]
    found = np.array(likeliest, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _limit(distances: Float32, rank: int) -> float:
    """The ratio that neighbours reach by chance as seldom as asked, by the set's dimension."""
    if rank < 2 * _FIRST_RANK:
        return MAX_RATIO
    logs = np.log(np.maximum(distances[:, -1:], 1e-6) / np.maximum(distances, 1e-6))
    inverse = (
        logs[:, _FIRST_RANK - 1 : -1].sum(axis=1) + (_FIRST_RANK - 1) * logs[:, _FIRST_RANK - 1]
    )
    dimension = (rank - _FIRST_RANK) / max(float(np.median(inverse)), 1e-2)
    return float(min(MAX_RATIO, (CHANCE / rank) ** (1.0 / dimension)))
