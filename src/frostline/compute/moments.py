"""What reaches every BatchNorm: means and mean squares, which tell the shift from pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LayerMoments:
    """One BatchNorm's stored source statistics, and the target images at its input.

    - ``name``: the layer's path in the network.
    - ``source_mean`` and ``source_var``, shape (C,): running statistics of pretraining.
    - ``eps``: added to the variance by the layer.
    - ``mean`` and ``square``, shape (m, C): for every image, the mean over space of the layer's
      input and of its square.
    """

    name: str
    source_mean: FloatArray64
    source_var: FloatArray64
    eps: float
    mean: FloatArray64
    square: FloatArray64


@dataclass(frozen=True)
class BatchNormMoments:
    """Moments of ``rows`` at every BatchNorm on the main path, in order of depth.

    ``layers``: empty for networks without BatchNorm. ``rows``, shape (m,): the rows of the catalog
    that were used.
    """

    layers: list[LayerMoments]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class SourceNorm:
    """A BatchNorm as it was loaded: its path, and the statistics of pretraining.

    ``mean`` and ``var`` have shape (C,).
    """

    name: str
    mean: FloatArray64
    var: FloatArray64
    eps: float


def by_layer(norms: Sequence[SourceNorm], values: npt.NDArray[np.float32]) -> list[LayerMoments]:
    """Take moments (m, width) apart: for every layer its C means, then its C mean squares."""
    found = []
    start = 0
    for norm in norms:
        middle = start + len(norm.mean)
        stop = middle + len(norm.mean)
        found.append(
            LayerMoments(
                name=norm.name,
                source_mean=norm.mean,
                source_var=norm.var,
                eps=norm.eps,
                mean=values[:, start:middle].astype(np.float64),
                square=values[:, middle:stop].astype(np.float64),
            )
        )
        start = stop
    return found
