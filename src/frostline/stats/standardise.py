"""Standardised features, a chunk at a time, and the way back to weights on raw ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.inputs import check_blocks, row_chunks
from frostline.stats.selection import Features

# float32 features of a constant channel scatter by about 1e-7 of their size
_CONSTANT = 1e-6


@dataclass(frozen=True)
class Standardiser:
    """Maps raw features to ``(x - mean) * scale``.

    ``mean``, shape (d,): weighted mean of the rows it was fitted on. ``scale``, shape (d,): 0 for a
    channel that is constant over those rows.
    """

    mean: FloatArray
    scale: FloatArray

    @property
    def n_kept(self) -> int:
        """Number of channels that are not constant."""
        return int(np.count_nonzero(self.scale))

    def apply(self, X: Features, rows: slice | IntArray) -> FloatArray:
        """Return the standardised ``X[rows]`` as a new float64 array."""
        chunk = X[rows].astype(np.float64)
        chunk -= self.mean
        chunk *= self.scale
        return chunk

    def to_raw(self, weight: FloatArray, bias: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Turn (d, C) weights and (C,) biases on standardised features into those on raw ones."""
        raw = weight * self.scale[:, None]
        return raw, bias - self.mean @ raw


def fit_standardiser(
    X: Features,
    *,
    weights: FloatArray | None = None,
    blocks: Sequence[slice] | None = None,
    standardise: bool = True,
    floor: float = 0.0,
) -> Standardiser:
    """Measure mean and spread of every channel.

    Raises InputError if a feature is not finite, or the blocks do not cover every column once.

    Parameters
    ----------
    X : array of shape (n, d)
    weights : array of shape (n,) or None
        Row weights with mean 1.
    blocks : sequence of slice or None
        Blocks of columns (taps). Each block is divided by the square root of the number of its
        channels that vary, so that a wide tap does not outweigh a narrow one.
    standardise : bool, default=True
        Divide every channel by its standard deviation; False only centres (and scales blocks).
    floor : float, default=0
        The divisor is ``sqrt(s**2 + (floor * m)**2)``, with ``m`` the median standard deviation of
        the block's channels that vary.
    """
    n, d = X.shape
    spans = check_blocks(blocks, n_columns=d)
    share = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    mean = np.zeros(d)
    for rows in row_chunks(n):
        mean += share[rows] @ X[rows].astype(np.float64, copy=False)
    if not np.all(np.isfinite(mean)):
        column = int(np.flatnonzero(~np.isfinite(mean))[0])
        raise InputError(f"Feature {column} holds values that are not finite numbers.")
    variance = np.zeros(d)
    for rows in row_chunks(n):
        centred = X[rows].astype(np.float64)
        centred -= mean
        variance += share[rows] @ np.square(centred, out=centred)
    spread = np.sqrt(variance)
    scale = np.zeros(d)
    for block in spans:
        widest = spread[block].max(initial=0.0)
        varies = spread[block] > _CONSTANT * np.maximum(np.abs(mean[block]), widest)
        usual = floor * float(np.median(spread[block][varies])) if varies.any() else 0.0
        wide = np.hypot(spread[block], usual)
        divisor = np.where(varies, wide, 1.0) if standardise else np.ones(varies.shape)
        width = max(1, int(varies.sum())) if blocks is not None else 1
        scale[block] = varies / divisor / np.sqrt(width)
    return Standardiser(mean=mean, scale=scale)
