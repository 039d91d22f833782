"""Find copies of one picture that were re-encoded, resized or slightly brightened.

Perceptual hashes with a fixed tolerance fail on sets whose images all look alike: they chain
half of the set together. Here a pair counts only if it is close in pixels *and* much closer than
the set's own neighbours usually are, and groups never chain.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.data.decoding.thumbnails import SIDE
from frostline.data.duplicates.descriptors import (
    Descriptors,
    Float32,
    Float64,
    describe,
    full_distances,
    principal_axes,
    rotate,
    squared_distances,
)
from frostline.data.duplicates.grouping import complete_linkage
from frostline.data.duplicates.kd_forest import have_a_near_one, nearest_in_leaves
from frostline.data.duplicates.rotated_copies import TURNS, turned_pairs

_Pairs = tuple[IntArray, IntArray, Float64]

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
COMPLETE_UP_TO = 10_000
_BLOCK_ENTRIES = 1 << 22
_DIMENSION_SAMPLE = 1000
# the dimension rests on ranks from here on: copies sit at closer ones
_FIRST_RANK = 4
# rounding in float32 must not lose a pair at the bound
_BOUND = MAX_DISTANCE**2 + 1e-5


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What the search found.

    - ``groups``: positions of images that are copies of each other; disjoint, each of size 2 or
      more.
    - ``complete``: False if the set was so large that only likely neighbours were compared.
    - ``turned``: groups in which at least one picture is a mirrored or turned copy of another; they
      may hold some of ``groups``. Empty for sets that were not compared completely.
    """

    groups: tuple[tuple[int, ...], ...]
    complete: bool
    turned: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Nominated:
    """Rows (r,) that may have a copy, and their nearest others (r, rank), nearest first.

    ``stretch`` is how much farther away the last of them is, in the median, than the true
    neighbour of that rank.
    """

    rows: IntArray
    neighbours: IntArray
    stretch: float = 1.0


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

    Notes
    -----
    Up to 10,000 distinct images every pair is looked at, in blocks of matrix products. Above
    that, images are compared with those that share a leaf of one of eight trees
    (:mod:`frostline.data.duplicates.kd_forest`): time grows evenly with their number. Leaves find
    neighbours
    that are a little too far, so the background distance is divided by how much farther they are
    than the true ones of a sample. Mirrored and turned copies are looked for among all pairs only.

    The dimension is the maximum-likelihood estimate of Levina and Bickel, "Maximum Likelihood
    Estimation of Intrinsic Dimension", NIPS 2004, on ranks 4 to 16 (closer ranks are censored,
    because copies sit there).
    """
    if thumbnails.shape[1:] != (SIDE, SIDE, 3):
        raise ValueError(f"thumbnails must have shape (n, 32, 32, 3), not {thumbnails.shape}")
    flat = np.ascontiguousarray(thumbnails).reshape(len(thumbnails), SIDE * SIDE * 3)
    distinct, copies = _collapse(flat)
    descriptors = describe(flat, distinct)
    shown = np.flatnonzero(descriptors.contrast >= MIN_CONTRAST)
    if len(shown) < len(distinct):
        distinct, descriptors = distinct[shown], descriptors.of(shown)
    n = len(distinct)
    rank = min(BACKGROUND_RANK, n // 4)
    complete = n <= COMPLETE_UP_TO
    dimension, ratio = float("nan"), MAX_RATIO
    clusters: list[list[int]] = []
    turned: list[list[int]] = []
    if rank >= 1:
        axes = principal_axes(descriptors.values)
        order = np.argsort(descriptors.values @ axes[:, 0], kind="stable")
        distinct, descriptors = distinct[order], descriptors.of(order)
        picks = np.unique(np.linspace(0, n - 1, _DIMENSION_SAMPLE).astype(np.int64))
        background = _nearest(descriptors.values, picks, rank)
        dimension = _intrinsic_dimension(background)
        if np.isfinite(dimension):
            ratio = min(MAX_RATIO, (FALSE_RATE / rank) ** (1.0 / dimension))
        if complete:
            nominated = _compare_all(descriptors.values, rank)
        else:
            rotate(descriptors.values, axes)
            nominated = _compare_likely(descriptors.values, picks, background)
        pairs = _confirm(flat, distinct, descriptors, nominated, ratio)
        clusters = complete_linkage(*pairs)
        if complete:
            # each turn is another chance to find a false partner
            strict = ratio if np.isnan(dimension) else ratio * len(TURNS) ** (-1.0 / dimension)
            reach = np.minimum(
                MAX_DISTANCE, strict * _nearest(descriptors.values, np.arange(n), rank)[:, -1]
            )
            turned = _with_turned(pairs, turned_pairs(flat, distinct, descriptors, reach))

    def everyone(cluster: list[int]) -> tuple[int, ...]:
        firsts = [int(distinct[i]) for i in cluster]
        return tuple(sorted(p for first in firsts for p in copies.get(first, (first,))))

    groups = [everyone(cluster) for cluster in clusters]
    in_cluster = {int(distinct[i]) for cluster in clusters for i in cluster}
    seen = set(distinct.tolist())
    groups += [tuple(m) for i, m in copies.items() if i in seen and i not in in_cluster]
    turned_groups = tuple(sorted(everyone(cluster) for cluster in turned))
    return NearDuplicates(tuple(sorted(groups)), complete, turned_groups)


def _collapse(flat: npt.NDArray[np.uint8]) -> tuple[IntArray, dict[int, list[int]]]:
    """Return the first position of every distinct thumbnail, and the positions that share one."""
    seen: dict[bytes, int] = {}
    copies: dict[int, list[int]] = {}
    for position, row in enumerate(flat):
        # a digest stands for the pixels: a dictionary of pixels would be as large as they are
        first = seen.setdefault(hashlib.blake2b(row.data, digest_size=16).digest(), position)
        if first != position:
            copies.setdefault(first, [first]).append(position)
    return np.array(list(seen.values()), dtype=np.int64), copies


def _nearest(values: Float32, picks: IntArray, rank: int) -> Float32:
    """Return the distances of ``picks`` to their nearest others, ascending: (p, rank)."""
    best = np.full((len(picks), rank), np.inf, dtype=np.float32)
    step = max(rank, _BLOCK_ENTRIES // len(picks))
    for start in range(0, len(values), step):
        stop = min(len(values), start + step)
        squared = squared_distances(values[picks], values[start:stop])
        own = np.flatnonzero((picks >= start) & (picks < stop))
        squared[own, picks[own] - start] = np.inf
        squared = np.concatenate([best, squared], axis=1)
        best = np.partition(squared, rank - 1, axis=1)[:, :rank]
    return np.sqrt(np.sort(best, axis=1))


def _intrinsic_dimension(near: Float32) -> float:
    """Median maximum-likelihood dimension over a sample (p, rank); close ranks are censored."""
    rank = near.shape[1]
    if rank < 2 * _FIRST_RANK:
        return float("nan")
    distances = np.maximum(near.astype(np.float64), 1e-6)
    logs = np.log(distances[:, -1:] / distances[:, _FIRST_RANK - 1 : -1])
    inverse = (logs.sum(axis=1) + (_FIRST_RANK - 1) * logs[:, 0]) / (rank - _FIRST_RANK)
    return 1.0 / max(float(np.median(inverse)), 1e-2)


def _compare_all(values: Float32, rank: int) -> _Nominated:
    """Look at every pair."""
    n = len(values)
    rows: list[int] = []
    neighbours: list[IntArray] = []
    step = max(16, _BLOCK_ENTRIES // n)
    for start in range(0, n, step):
        stop = min(n, start + step)
        squared = squared_distances(values[start:stop], values)
        squared[np.arange(stop - start), np.arange(start, stop)] = np.inf
        for row in np.flatnonzero(squared.min(axis=1) <= _BOUND):
            near = np.argpartition(squared[row], rank - 1)[:rank]
            rows.append(start + int(row))
            neighbours.append(near[np.argsort(squared[row][near], kind="stable")])
    found = np.array(neighbours, dtype=np.int64).reshape(-1, rank)
    return _Nominated(np.array(rows, dtype=np.int64), found)


def _compare_likely(points: Float32, picks: IntArray, background: Float32) -> _Nominated:
    """Look at pairs that share a leaf; the sample ``picks`` says how well leaves do."""
    rank = background.shape[1]
    close = have_a_near_one(points, bound=_BOUND)
    asked = close.copy()
    asked[picks] = True
    rows = np.flatnonzero(asked)
    neighbours, squared = nearest_in_leaves(points, rows, rank)
    sampled = np.sqrt(squared[np.searchsorted(rows, picks), -1])
    stretch = float(np.median(sampled / np.maximum(background[:, -1], 1e-6)))
    kept = close[rows] & (neighbours >= 0).all(axis=1)
    return _Nominated(rows[kept], neighbours[kept], max(1.0, stretch))


def _confirm(
    flat: npt.NDArray[np.uint8],
    distinct: IntArray,
    descriptors: Descriptors,
    nominated: _Nominated,
    ratio: float,
) -> tuple[IntArray, IntArray, Float64]:
    """Return the pairs, each once, whose full distance is small for both of their images."""
    lefts: list[int] = []
    rights: list[int] = []
    distances: list[float] = []
    seen: dict[tuple[int, int], float] = {}
    for start in range(0, len(nominated.rows), 64):
        rows = nominated.rows[start : start + 64]
        neighbours = nominated.neighbours[start : start + 64]
        distance = full_distances(flat, distinct, descriptors, rows, neighbours)
        background = distance.max(axis=1, keepdims=True) / nominated.stretch
        small = distance <= np.minimum(MAX_DISTANCE, ratio * background)
        for i, j in np.argwhere(small):
            row, other = int(rows[i]), int(neighbours[i, j])
            pair = (min(row, other), max(row, other))
            if pair in seen:
                lefts.append(pair[0])
                rights.append(pair[1])
                distances.append(seen[pair])
            seen[pair] = float(distance[i, j])
    return np.array(lefts, dtype=np.int64), np.array(rights, dtype=np.int64), np.array(distances)


def _with_turned(upright: _Pairs, turned: _Pairs) -> list[list[int]]:
    """Return the clusters of all pairs together that hold a pair found by turning alone."""
    known = set(zip(upright[0].tolist(), upright[1].tolist(), strict=True))
    found = zip(turned[0].tolist(), turned[1].tolist(), strict=True)
    new = np.array([pair not in known for pair in found], dtype=bool)
    together = [np.concatenate([a, b[new]]) for a, b in zip(upright, turned, strict=True)]
    left, right = turned[0][new], turned[1][new]
    return [
        cluster
        for cluster in complete_linkage(together[0], together[1], together[2])
        if bool(np.any(np.isin(left, cluster) & np.isin(right, cluster)))
    ]
