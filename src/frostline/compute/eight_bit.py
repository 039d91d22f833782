"""Activations in a byte each: every channel of every image between its own least and largest."""

from __future__ import annotations

import numpy as np

from frostline.core.preprocessing import FloatArray, UInt8Array

_STEPS = 255


def channels_of(shape: tuple[int, ...]) -> int:
    """Return how many ranges one image of this shape has: its channels, (C, H, W) or (N, C)."""
    return shape[0] if len(shape) == 3 else shape[-1]


def to_bytes(values: FloatArray) -> tuple[UInt8Array, FloatArray]:
    """Round the activations of one image.

    Parameters
    ----------
    values : float array of shape (C, H, W), (N, C) or (C,)

    Returns
    -------
    rounded : ndarray of the same shape, uint8
    ranges : ndarray of shape (2, C), float32
        The least value of every channel, and what one step is worth.
    """
    flat = _by_channel(values)
    low = flat.min(axis=1)
    step = (flat.max(axis=1) - low) / _STEPS
    # a channel without any spread has one value, whatever its step
    safe = np.where(step > 0, step, 1.0)
    rounded = np.rint((flat - low[:, None]) / safe[:, None]).astype(np.uint8)
    ranges = np.stack([low, step]).astype(np.float32)
    return _back(rounded, values.shape), ranges


def from_bytes(rounded: UInt8Array, ranges: FloatArray) -> FloatArray:
    """Return activations (k, ...) from bytes (k, ...) and their ranges (k, 2, C), float32."""
    low, step = ranges[:, 0], ranges[:, 1]
    if rounded.ndim == 4:
        low, step = low[..., None, None], step[..., None, None]
    elif rounded.ndim == 3:
        low, step = low[:, None], step[:, None]
    return np.asarray(rounded * step + low, dtype=np.float32)


def _by_channel(values: FloatArray) -> FloatArray:
    if values.ndim == 3:
        return values.reshape(values.shape[0], -1)
    return values.reshape(-1, values.shape[-1]).T


def _back(flat: UInt8Array, shape: tuple[int, ...]) -> UInt8Array:
    if len(shape) == 3:
        return flat.reshape(shape)
    return np.ascontiguousarray(flat.T).reshape(shape)
