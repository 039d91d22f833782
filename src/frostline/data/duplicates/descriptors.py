"""Thumbnails as vectors, and 96 numbers of each whose distances never exceed the full ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.data.decoding.thumbnails import SIDE

Float32 = npt.NDArray[np.float32]
Float64 = FloatArray
Flat = npt.NDArray[np.uint8]

_PIXELS = SIDE * SIDE
_CHUNK = 512
# orthonormal: luma, red-blue, green-magenta; so that partial distances are lower bounds
_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.float64)
_OPPONENT /= np.linalg.norm(_OPPONENT, axis=1, keepdims=True)


@dataclass(frozen=True)
class Descriptors:
    """What the search needs to know of every thumbnail.

    A thumbnail stands for a vector of 3,072 values, centred per channel and scaled to length
    one, so that brightness and contrast do not matter.

    ``values``, shape (n, 96): orthogonal projections of these vectors: luma on 8 x 8, two colours
    on 4 x 4 blocks. ``means``, shape (n, 3): mean of every channel. ``lengths``, shape (n,): of the
    centred pixels, before they are scaled.
    """

    values: Float32
    means: Float64
    lengths: Float64

    @property
    def contrast(self) -> Float64:
        """Standard deviation of the centred pixels (0-255), shape (n,)."""
        spread: Float64 = self.lengths / np.sqrt(3 * _PIXELS)
        return spread

    def of(self, rows: IntArray) -> Descriptors:
        """Return the descriptors of some rows, in their order."""
        return Descriptors(self.values[rows], self.means[rows], self.lengths[rows])


def describe(flat: Flat, positions: IntArray) -> Descriptors:
    """Describe thumbnails (n, 3072), uint8, at ``positions``, a few at a time."""
    n = len(positions)
    found = Descriptors(np.empty((n, 96), np.float32), np.empty((n, 3)), np.empty(n))
    projection = _projection()
    for start in range(0, n, _CHUNK):
        rows = slice(start, min(n, start + _CHUNK))
        pixels = flat[positions[rows]].astype(np.float32).reshape(-1, _PIXELS, 3)
        # whole numbers below 2**24: exact in single precision
        sums = pixels.sum(axis=1)
        found.means[rows] = sums.astype(np.float64) / _PIXELS
        pixels -= (sums / np.float32(_PIXELS))[:, None, :]
        centred = pixels.reshape(len(pixels), -1)
        lengths = np.sqrt(np.einsum("ij,ij->i", centred, centred, dtype=np.float64))
        found.lengths[rows] = lengths
        found.values[rows] = centred @ projection / np.maximum(lengths, 1e-6)[:, None]
    return found


def full_distances(
    flat: Flat, positions: IntArray, descriptors: Descriptors, rows: IntArray, others: IntArray
) -> Float64:
    """Return distances of the whole vectors: of ``rows`` (m,) to each of ``others`` (m, k).

    - ``flat``: shape (N, 3072).
    - ``positions``, shape (n,): where in ``flat`` the described thumbnails are.
    - ``descriptors``: of those n.
    - ``rows`` and ``others``, shape (m,) and (m, k): in [0, n).
    """
    own = flat[positions[rows]].astype(np.float64)
    near = flat[positions[others]].astype(np.float64)
    products = (near @ own[:, :, None])[:, :, 0]
    products -= _PIXELS * (descriptors.means[others] @ descriptors.means[rows][:, :, None])[:, :, 0]
    cosine = products / (descriptors.lengths[others] * descriptors.lengths[rows][:, None])
    distances: Float64 = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))
    return distances


def squared_distances(rows: Float32, columns: Float32) -> Float32:
    """Return squared distances between vectors, shape (len(rows), len(columns))."""
    squared: Float32 = rows @ columns.T
    squared *= -2.0
    squared += (rows * rows).sum(axis=1)[:, None]
    squared += (columns * columns).sum(axis=1)[None, :]
    return np.maximum(squared, 0.0, out=squared)


def principal_axes(values: Float32) -> Float64:
    """Return the directions of spread (96, 96) as columns, the largest first."""
    mean = values.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((values.shape[1], values.shape[1]))
    for start in range(0, len(values), 1 << 14):
        centred = values[start : start + (1 << 14)].astype(np.float64) - mean
        scatter += centred.T @ centred
    _, vectors = np.linalg.eigh(scatter)
    axes = vectors[:, ::-1]
    # an axis may point either way; the order of the images must not decide which
    largest = np.abs(axes).argmax(axis=0)
    turned: Float64 = axes * np.sign(axes[largest, np.arange(len(largest))])
    return turned


def rotate(values: Float32, axes: Float64) -> None:
    """Express vectors (n, 96) along other axes, in place; distances stay as they are."""
    turn = axes.astype(np.float32)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        values[rows] = values[rows] @ turn


def _projection() -> Float32:
    """The projection (3072, 96); a sum over a block divided by the root of its size."""
    fine = np.kron(np.eye(8), np.full((4, 1), 0.5))
    rough = np.kron(np.eye(4), np.full((8, 1), 8.0**-0.5))
    luma = np.kron(np.kron(fine, fine), _OPPONENT[:1].T)
    colours = np.kron(np.kron(rough, rough), _OPPONENT[1:].T)
    return np.concatenate([luma, colours], axis=1).astype(np.float32)
