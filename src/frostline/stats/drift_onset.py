"""How far some images lie from others at each depth of a network, and where that begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.stats.drift import PER_DEPTH
from frostline.stats.paired import holm

#: where a change begins: nowhere, at the early end of the network (the camera: blur, noise, colour,
#: compression), or at the late one (the content: new kinds of things)
OnsetKind = Literal["none", "early", "late"]

#: relabellings of a permutation test; its p-values are no smaller than 1 in 1,000
PERMUTATIONS = 999
_LEVEL = 0.05
#: a change whose mean distance at the first half of the depths (the middle one is of them) is this
#: much of that at the others begins there; measured by benchmarks/watch.py
_EARLY = 0.75
#: and there at the first depth with this share of the largest distance among them
_SHARE = 0.8
_TINY = 1e-9


@dataclass(frozen=True)
class DepthShift:
    """How far some images are from left-out ones at one depth.

    ``distance``: between the means of their scores, in standard deviations of left-out images;
    ``by_chance``: what it is on average where nothing changed. ``p_value``: of an exact permutation
    test of it; ``p_adjusted``: corrected for the number of depths (Holm 1979).
    """

    distance: float
    by_chance: float
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class Onset:
    """Where a change begins. ``depth``: the number of the depth, None for no change."""

    kind: OnsetKind
    depth: int | None = None


def depth_shifts(scores: FloatArray, left_out: npt.NDArray[np.floating]) -> tuple[DepthShift, ...]:
    """Compare the scores (n, 3 * D) of some images with those (m, 3 * D) of left-out ones.

    Without any image nothing differs.
    """
    n_depths = int(left_out.shape[1]) // PER_DEPTH
    if not len(scores):
        return tuple(DepthShift(0.0, 0.0, 1.0, 1.0) for _ in range(n_depths))
    known = left_out.astype(np.float64)
    unit = np.maximum(known.std(axis=0), _TINY)
    both = (np.concatenate([scores, known]) - known.mean(axis=0)) / unit
    # one image far away must not stand for all of them
    both = np.clip(both, -10.0, 10.0)
    found = _distances(both[: len(scores)].mean(axis=0), both[len(scores) :].mean(axis=0))
    drawn = _relabelled(len(scores), len(both))
    whole = both.sum(axis=0)
    own = drawn @ both
    others = (whole - own) / max(len(both) - len(scores), 1)
    by_chance = _distances(own / len(scores), others)
    p = (1 + (by_chance >= found - _TINY).sum(axis=0)) / (PERMUTATIONS + 1)
    usual = np.sqrt(np.square(by_chance).mean(axis=0))
    adjusted = holm(p.tolist())
    return tuple(
        DepthShift(float(distance), float(chance), float(value), corrected)
        for distance, chance, value, corrected in zip(found, usual, p, adjusted, strict=True)
    )


def onset_of(shifts: tuple[DepthShift, ...]) -> Onset:
    """Return at which end of the network a change begins, and at which depth.

    Every image of another camera differs at every depth, and so does every new kind of thing, if
    little: layers pass on what they get. What tells them apart is where the change is large. So the
    mean distance of the first half of the depths is compared with that of the others, each without
    what chance alone shows: from 75 % of it on the change begins early.
    """
    surely = [one.p_adjusted < _LEVEL for one in shifts]
    if not any(surely):
        return Onset("none")
    beyond = [np.sqrt(max(one.distance**2 - one.by_chance**2, 0.0)) for one in shifts]
    half = (len(shifts) + 1) // 2
    early = np.mean(beyond[:half]) >= _EARLY * np.mean(beyond[half:] or [0.0])
    depths = range(half) if early else range(half, len(shifts))
    largest = max(beyond[depth] for depth in depths)
    depth = next(depth for depth in depths if beyond[depth] >= _SHARE * largest)
    return Onset("early" if early else "late", depth)


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the root mean square of differences of the scores of each depth, (..., D)."""
    squared = np.square(a - b)
    by_depth = squared.reshape(*squared.shape[:-1], -1, PER_DEPTH)
    return np.asarray(np.sqrt(by_depth.mean(axis=-1)))


@lru_cache(maxsize=1)
def _relabelled(n: int, total: int) -> npt.NDArray[np.float32]:
    """Return which n of all images are taken for the new ones, (PERMUTATIONS, total)."""
    random = np.random.default_rng(0)
    order = random.random((PERMUTATIONS, total)).argpartition(min(n, total - 1), axis=1)[:, :n]
    drawn = np.zeros((PERMUTATIONS, total), dtype=np.float32)
    np.put_along_axis(drawn, order, 1.0, axis=1)
    return drawn
