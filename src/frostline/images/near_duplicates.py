"""Find copies of one picture that were re-encoded, resized or slightly brightened.

Perceptual hashes with a fixed tolerance fail on sets whose images all look alike: they chain
half of the set together. Here a pair counts only if it is close in pixels *and* much closer than
the set's own neighbours usually are, and groups never chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.images.thumbnails import SIDE

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: largest distance of two near-duplicates; distances lie in [0, 2], JPEG at quality 50 is ~0.03
MAX_DISTANCE = 0.15
#: a near-duplicate is at least four times closer than the background neighbour
MAX_RATIO = 0.25
#: rank of the background neighbour: copies in groups of up to this size are found
BACKGROUND_RANK = 16
#: expected share of images that would find a false partner if neighbours fell at random
FALSE_RATE = 1e-3
#: standard deviation of pixels (0-255) below which a picture is blank and has no copies
MIN_CONTRAST = 1.5
#: sets up to this size are searched completely
COMPLETE_UP_TO = 50_000
_BLOCK_ENTRIES = 1 << 24
_DIMENSION_SAMPLE = 1000
# orthonormal: luma, red-blue, green-magenta; so that partial distances are lower bounds
_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.float64)
_OPPONENT /= np.linalg.norm(_OPPONENT, axis=1, keepdims=True)


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What the search found.

    Attributes
    ----------
    groups : tuple of tuple of int
        Positions of images that are copies of each other; disjoint, each of size 2 or more.
    complete : bool
        False if the set was so large that only neighbours in one projection were compared.
    dimension : float
        Intrinsic dimension of the set, from its nearest-neighbour distances (NaN if too small).
    max_ratio : float
        Ratio to the background neighbour that was asked for.
    """

    groups: tuple[tuple[int, ...], ...]
    complete: bool
    dimension: float
    max_ratio: float


def find_near_duplicates(thumbnails: npt.NDArray[np.uint8]) -> NearDuplicates:
    """Group near-duplicates by their thumbnails.

    Every thumbnail becomes a vector of 3,072 values, centred per channel and scaled to length
    one, so that brightness and contrast do not matter. A 96-dimensional orthogonal projection,
    whose distances never exceed the full ones, nominates pairs. A pair is confirmed if its full
    distance is at most ``MAX_DISTANCE`` and at most ``max_ratio`` times the distance at which
    *both* images have their 16th neighbour. ``max_ratio`` comes from the set: with intrinsic
    dimension ``m``, randomly spread neighbours fall within a share ``q`` of that distance with
    expected number ``16 q**m``, which must not exceed 0.001. Groups form by complete linkage:
    every pair inside a group is itself confirmed.

    Parameters
    ----------
    thumbnails : ndarray of shape (n, 32, 32, 3), uint8

    Returns
    -------
    NearDuplicates

    Notes
    -----
    Up to 50,000 distinct images every pair is looked at, in blocks of matrix products. Above
    that, images are sorted along their first principal direction and each is compared with the
    25,000 on either side; since near-duplicates are close in every direction, few can be missed.
    The dimension is the maximum-likelihood estimate of Levina and Bickel, "Maximum Likelihood
    Estimation of Intrinsic Dimension", NIPS 2004, on ranks 4 to 16 (closer ranks are censored,
    because copies sit there).
    """
    if thumbnails.shape[1:] != (SIDE, SIDE, 3):
        raise ValueError(f"thumbnails must have shape (n, 32, 32, 3), not {thumbnails.shape}")
    flat = np.ascontiguousarray(thumbnails.reshape(len(thumbnails), SIDE * SIDE * 3))
    distinct, members = _collapse(flat)
    distinct, members = _without_blank(flat, distinct, members)
    identical = [tuple(m) for m in members if len(m) > 1]
    n = len(distinct)
    rank = min(BACKGROUND_RANK, n // 4)
    complete = n <= COMPLETE_UP_TO
    if rank < 1:
        return NearDuplicates(tuple(sorted(identical)), complete, float("nan"), MAX_RATIO)
    coarse = _coarse(flat[distinct])
    order = np.argsort(_first_principal(coarse), kind="stable")
    distinct, coarse = distinct[order], coarse[order]
    members = [members[i] for i in order]
    reach = n if complete else COMPLETE_UP_TO // 2
    dimension = _intrinsic_dimension(coarse, rank, reach)
    ratio = MAX_RATIO
    if np.isfinite(dimension):
        ratio = min(MAX_RATIO, (FALSE_RATE / rank) ** (1.0 / dimension))
    rows, neighbours = _nominate(coarse, rank, reach)
    clusters = _complete_linkage(*_confirm(flat[distinct], rows, neighbours, ratio))
    in_cluster = {i for cluster in clusters for i in cluster}
    groups = [tuple(sorted(p for i in cluster for p in members[i])) for cluster in clusters]
    groups += [tuple(m) for i, m in enumerate(members) if len(m) > 1 and i not in in_cluster]
    return NearDuplicates(tuple(sorted(groups)), complete, dimension, ratio)


def _collapse(flat: npt.NDArray[np.uint8]) -> tuple[IntArray, list[list[int]]]:
    """Return the first position of every distinct thumbnail, and the positions that share it."""
    seen: dict[bytes, list[int]] = {}
    for position, row in enumerate(flat):
        seen.setdefault(row.tobytes(), []).append(position)
    members = list(seen.values())
    return np.array([m[0] for m in members], dtype=np.int64), members


def _without_blank(
    flat: npt.NDArray[np.uint8], distinct: IntArray, members: list[list[int]]
) -> tuple[IntArray, list[list[int]]]:
    contrast = np.array([np.sqrt((_centred(flat[i]) ** 2).mean()) for i in distinct])
    kept = np.flatnonzero(contrast >= MIN_CONTRAST)
    return distinct[kept], [members[i] for i in kept]


def _centred(rows: npt.NDArray[np.uint8]) -> Float64:
    """Return pixels (..., 1024, 3) with the mean of every channel removed."""
    pixels = rows.reshape(*rows.shape[:-1], SIDE * SIDE, 3).astype(np.float64)
    centred: Float64 = pixels - pixels.mean(axis=-2, keepdims=True)
    return centred


def _units(rows: npt.NDArray[np.uint8]) -> Float64:
    """Return centred vectors of length one, shape (n, 3072)."""
    centred = _centred(rows).reshape(len(rows), -1)
    units: Float64 = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return units


def _coarse(flat: npt.NDArray[np.uint8]) -> Float32:
    """Project the unit vectors to 96 dimensions: luma on 8 x 8, two colours on 4 x 4 blocks."""
    out = np.empty((len(flat), 96), dtype=np.float32)
    for start in range(0, len(flat), 1024):
        units = _units(flat[start : start + 1024]).reshape(-1, SIDE, SIDE, 3)
        opponent = units @ _OPPONENT.T
        # the sum over a block divided by the root of its size is an orthogonal projection
        luma = opponent[..., 0].reshape(-1, 8, 4, 8, 4).sum(axis=(2, 4)) / 4.0
        colour = opponent[..., 1:].reshape(-1, 4, 8, 4, 8, 2).sum(axis=(2, 4)) / 8.0
        rows = slice(start, start + len(units))
        out[rows, :64] = luma.reshape(-1, 64)
        out[rows, 64:] = colour.reshape(-1, 32)
    return out


def _first_principal(coarse: Float32) -> Float64:
    """Return the coordinate of every row along the direction of largest spread."""
    centred = coarse.astype(np.float64) - coarse.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    coordinate: Float64 = centred @ vectors[:, -1]
    return coordinate


def _squared(rows: Float32, columns: Float32) -> Float32:
    """Squared distances between coarse vectors, shape (len(rows), len(columns))."""
    squared: Float32 = rows @ columns.T
    squared *= -2.0
    squared += (rows * rows).sum(axis=1)[:, None]
    squared += (columns * columns).sum(axis=1)[None, :]
    return np.maximum(squared, 0.0, out=squared)


def _intrinsic_dimension(coarse: Float32, rank: int, reach: int) -> float:
    """Median maximum-likelihood dimension over a sample; ranks below 4 count as censored."""
    if rank < 8:
        return float("nan")
    first = 4
    picks = np.unique(np.linspace(0, len(coarse) - 1, _DIMENSION_SAMPLE).astype(np.int64))
    inverse = []
    for pick in picks:
        low, high = max(0, pick - reach), min(len(coarse), pick + reach + 1)
        squared = _squared(coarse[pick : pick + 1], coarse[low:high])[0]
        squared[pick - low] = np.inf
        near = np.sqrt(np.sort(np.partition(squared, rank - 1)[:rank]).astype(np.float64))
        logs = np.log(near[-1] / np.maximum(near[first - 1 : -1], 1e-6))
        inverse.append((logs.sum() + (first - 1) * logs[0]) / (rank - first))
    middle = float(np.median(inverse))
    return 1.0 / max(middle, 1e-2)


def _nominate(coarse: Float32, rank: int, reach: int) -> tuple[IntArray, IntArray]:
    """Return the rows that have a possible copy, and their ``rank`` nearest others, nearest first.

    Returns
    -------
    rows : ndarray of shape (r,)
    neighbours : ndarray of shape (r, rank)
    """
    n = len(coarse)
    # rounding in float32 must not lose a pair at the bound
    bound = np.float32(MAX_DISTANCE**2 + 1e-5)
    rows: list[int] = []
    neighbours: list[IntArray] = []
    start = 0
    while start < n:
        width = min(n, 2 * reach + 1)
        stop = min(n, start + max(16, _BLOCK_ENTRIES // width))
        low, high = max(0, start - reach), min(n, stop + reach)
        squared = _squared(coarse[start:stop], coarse[low:high])
        squared[np.arange(stop - start), np.arange(start, stop) - low] = np.inf
        for row in np.flatnonzero(squared.min(axis=1) <= bound):
            values = squared[row]
            near = np.argpartition(values, rank - 1)[:rank]
            rows.append(start + int(row))
            neighbours.append(near[np.argsort(values[near], kind="stable")] + low)
        start = stop
    return np.array(rows, dtype=np.int64), np.array(neighbours, dtype=np.int64).reshape(-1, rank)


def _confirm(
    flat: npt.NDArray[np.uint8], rows: IntArray, neighbours: IntArray, ratio: float
) -> tuple[IntArray, IntArray, Float64]:
    """Return the pairs, each once, whose full distance is small for both of their images."""
    lefts: list[int] = []
    rights: list[int] = []
    distances: list[float] = []
    seen: dict[tuple[int, int], float] = {}
    for start in range(0, len(rows), 64):
        part = slice(start, start + 64)
        own = _units(flat[rows[part]])
        others = _units(flat[neighbours[part].ravel()]).reshape(len(own), -1, own.shape[1])
        distance = np.linalg.norm(others - own[:, None, :], axis=2)
        small = distance <= np.minimum(MAX_DISTANCE, ratio * distance.max(axis=1, keepdims=True))
        for i, j in np.argwhere(small):
            row, other = int(rows[start + i]), int(neighbours[start + i, j])
            pair = (min(row, other), max(row, other))
            if pair in seen:
                lefts.append(pair[0])
                rights.append(pair[1])
                distances.append(seen[pair])
            seen[pair] = float(distance[i, j])
    return np.array(lefts, dtype=np.int64), np.array(rights, dtype=np.int64), np.array(distances)


def _complete_linkage(left: IntArray, right: IntArray, distance: Float64) -> list[list[int]]:
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
