"""The old task's classifier: what the network itself would call an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray


@dataclass(frozen=True)
class SourceClassifier:
    """Logits of the old classes as a linear function of what the network itself pools.

    ``weight``: shape (channels, K). ``bias``: shape (K,). ``names``: short names of the old
    classes. ``start``: first of the pooled columns of the last tap that it reads.
    """

    weight: FloatArray
    bias: FloatArray
    names: tuple[str, ...]
    start: int = 0

    @property
    def columns(self) -> slice:
        """Which columns of the last tap it reads."""
        return slice(self.start, self.start + len(self.weight))

    def probabilities(self, means: npt.ArrayLike) -> FloatArray:
        """Probabilities (n, K) for what it reads (n, channels)."""
        logits = np.asarray(means, dtype=np.float64) @ self.weight + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)
