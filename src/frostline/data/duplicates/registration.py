"""Lay one small picture over another: shifted, scaled, turned a little, brighter or darker.

The inverse problem of augmentation, by Gauss-Newton steps on an affine map from rough to fine
(Lucas and Kanade 1981; gain and offset are estimated along with the map).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.data.decoding.thumbnails import SIDE

Float32 = npt.NDArray[np.float32]

#: blur in pixels, steps, and every how many pixels are looked at
_LEVELS = ((3.0, 6, 2), (1.5, 5, 2), (0.7, 5, 1))
#: pairs that are still farther apart than this after the rough levels are given up
_HOPELESS = 0.45
#: share of the picture that both must show
_OVERLAP = 0.5
#: bounds of the map: scale, shear or turn, shift; in half widths
_SCALE, _TURN, _SHIFT = (0.7, 1.4), 0.3, 0.4
_STEP = 0.15
_CHUNK = 128


def registered_distances(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> Float32:
    """Return how far pictures are apart once the second of each pair lies best over the first.

    ``first`` and ``second``: shape (m, 32, 32, 3). The result, shape (m,): distance in [0, 2] of
    the parts that overlap, centred per channel and scaled to length one; infinite where no good
    place was found.
    """
    found = np.full(len(first), np.inf, dtype=np.float32)
    for start in range(0, len(first), _CHUNK):
        rows = np.arange(start, min(len(first), start + _CHUNK))
        one, other = first[rows].astype(np.float32), second[rows].astype(np.float32)
        maps = np.tile(np.array([1, 0, 0, 0, 1, 0], dtype=np.float32), (len(rows), 1))
        for level, (sigma, steps, stride) in enumerate(_LEVELS):
            a, b = _blurred(one, sigma), _blurred(other, sigma)
            maps = _follow(a.mean(axis=3), b.mean(axis=3), maps, steps, stride)
            distance = _distance(a, b, maps)
            if level < len(_LEVELS) - 1:
                kept = distance <= _HOPELESS
                rows, one, other, maps = rows[kept], one[kept], other[kept], maps[kept]
            else:
                found[rows] = distance
            if not len(rows):
                break
    return found


def _grid(stride: int) -> tuple[Float32, Float32, IntArray]:
    """Coordinates from -1 to 1 of every ``stride``-th pixel, and where these are."""
    down, across = np.mgrid[0:SIDE:stride, 0:SIDE:stride].reshape(2, -1)
    x, y = ((2 * at + 1) / SIDE - 1 for at in (across, down))
    return x.astype(np.float32), y.astype(np.float32), down * SIDE + across


def _follow(first: Float32, second: Float32, maps: Float32, steps: int, stride: int) -> Float32:
    """Improve the maps (m, 6) by some steps; pictures are grey, (m, 32, 32)."""
    x, y, at = _grid(stride)
    m = len(first)
    wanted = first.reshape(m, -1)[:, at]
    down, across = np.gradient(second, np.float32(2 / SIDE), axis=(1, 2))
    planes = np.stack([second, across, down], axis=3).reshape(m, SIDE * SIDE, 3)
    maps = maps.copy()
    for _ in range(steps):
        u, v, inside = _mapped(maps, x, y)
        seen, dx, dy = np.moveaxis(_sampled(planes, u, v), 2, 0)
        total = inside.sum(axis=1, keepdims=True) + 1e-6
        seen_mean = (inside * seen).sum(axis=1, keepdims=True) / total
        mean = (inside * wanted).sum(axis=1, keepdims=True) / total
        centred = seen - seen_mean
        gain = (inside * centred * (wanted - mean)).sum(axis=1, keepdims=True)
        gain = np.clip(gain / ((inside * centred**2).sum(axis=1, keepdims=True) + 1e-3), 0.3, 3.0)
        error = inside * (wanted - mean - gain * centred)
        dx, dy = gain * dx, gain * dy
        slopes = np.stack([dx * x, dx * y, dx, dy * x, dy * y, dy, seen, np.ones_like(seen)], 2)
        weighted = slopes * inside[:, :, None]
        matrix = weighted.transpose(0, 2, 1) @ slopes
        damping = 1e-3 * np.trace(matrix, axis1=1, axis2=2) / 8 + 1e-6
        matrix += damping[:, None, None] * np.eye(8, dtype=np.float32)
        step = np.linalg.solve(matrix, weighted.transpose(0, 2, 1) @ error[:, :, None])
        maps += np.clip(step[:, :6, 0], -_STEP, _STEP)
        maps[:, [0, 4]] = np.clip(maps[:, [0, 4]], *_SCALE)
        maps[:, [1, 3]] = np.clip(maps[:, [1, 3]], -_TURN, _TURN)
        maps[:, [2, 5]] = np.clip(maps[:, [2, 5]], -_SHIFT, _SHIFT)
    return maps


def _distance(first: Float32, second: Float32, maps: Float32) -> Float32:
    """Distance of what overlaps, in all channels; infinite if that is too little."""
    m = len(first)
    if not m:
        return np.zeros(0, dtype=np.float32)
    x, y, _ = _grid(1)
    u, v, inside = _mapped(maps, x, y)
    weight = inside[:, :, None]
    total = weight.sum(axis=1, keepdims=True) + 1e-6
    pair = []
    for values in (first.reshape(m, -1, 3), _sampled(second.reshape(m, -1, 3), u, v)):
        centred = weight * (values - (weight * values).sum(axis=1, keepdims=True) / total)
        pair.append(centred.reshape(m, -1))
    lengths = np.linalg.norm(pair[0], axis=1) * np.linalg.norm(pair[1], axis=1)
    cosine = np.einsum("ij,ij->i", *pair) / np.maximum(lengths, 1e-3)
    found = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0)).astype(np.float32)
    found[inside.mean(axis=1) < _OVERLAP] = np.inf
    return np.asarray(found, dtype=np.float32)


def _mapped(maps: Float32, x: Float32, y: Float32) -> tuple[Float32, Float32, Float32]:
    """Where the maps take coordinates, and which stay inside (1 or 0)."""
    u = maps[:, 0:1] * x + maps[:, 1:2] * y + maps[:, 2:3]
    v = maps[:, 3:4] * x + maps[:, 4:5] * y + maps[:, 5:6]
    inside = ((np.abs(u) < 1) & (np.abs(v) < 1)).astype(np.float32)
    return u, v, inside


def _sampled(planes: Float32, u: Float32, v: Float32) -> Float32:
    """Bilinear values of planes (m, 1024, k) at coordinates (m, p): (m, p, k)."""
    right, below = (u + 1) * (SIDE / 2) - 0.5, (v + 1) * (SIDE / 2) - 0.5
    column = np.clip(right.astype(np.int32), 0, SIDE - 2)
    row = np.clip(below.astype(np.int32), 0, SIDE - 2)
    fx = np.clip(right - column, 0, 1)[:, :, None]
    fy = np.clip(below - row, 0, 1)[:, :, None]
    at, each = row * SIDE + column, np.arange(len(planes))[:, None]
    upper = planes[each, at] * (1 - fx) + planes[each, at + 1] * fx
    lower = planes[each, at + SIDE] * (1 - fx) + planes[each, at + SIDE + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, dtype=np.float32)


def _blurred(pictures: Float32, sigma: float) -> Float32:
    """Gaussian blur over rows and columns of (m, 32, 32, 3), borders repeated."""
    reach = int(3 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    # one matrix does what a sliding window does
    places = np.clip(np.arange(SIDE)[:, None] + np.arange(-reach, reach + 1), 0, SIDE - 1)
    matrix = np.zeros((SIDE, SIDE))
    np.add.at(matrix, (np.arange(SIDE)[:, None], places), weights / weights.sum())
    narrow = matrix.astype(np.float32)
    found = np.einsum("ab,mbcd,ec->maed", narrow, pictures, narrow, optimize=True)
    return np.asarray(found, dtype=np.float32)
