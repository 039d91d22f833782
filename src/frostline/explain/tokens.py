"""Tokens as they are read: what they pass before they are pooled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.cuts import TokenReading

Array = npt.NDArray[Any]


def normalised(tokens: Array, reading: TokenReading | None) -> tuple[Array, Array]:
    """Return tokens (..., L, C) as they are pooled, and by what each was divided (..., L, 1)."""
    if reading is None or reading.norm is None:
        return tokens, np.ones((*tokens.shape[:-1], 1), dtype=tokens.dtype)
    if reading.norm == "layer":
        tokens = tokens - tokens.mean(axis=-1, keepdims=True)
    size = np.sqrt(np.square(tokens).mean(axis=-1, keepdims=True) + reading.epsilon)
    return tokens / size, size
