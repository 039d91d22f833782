"""The old task's classifier: what the network itself would call an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray


@dataclass(frozen=True)
class SourceClassifier:
    """Logits of the old classes as a linear function of the mean of the deepest feature map.

    ``weight``: shape (channels, K). ``bias``: shape (K,). ``names``: short names of the old
    classes.
    """

    weight: FloatArray
    bias: FloatArray
    names: tuple[str, ...]

    def probabilities(self, means: npt.ArrayLike) -> FloatArray:
        """Probabilities (n, K) for pooled means (n, channels)."""
        logits = np.asarray(means, dtype=np.float64) @ self.weight + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)
