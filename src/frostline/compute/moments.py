"""What reaches norm layers: means and mean squares, which tell the shift from other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray64 = npt.NDArray[np.float64]


#: images that are compared, at most
MOST_COMPARED = 64
# Multiply-accumulates a second: what one core was measured to do while moments are taken (ViT-S,
# ConvNeXt-T and Swin-T by ONNX Runtime, 77 to 93 G). No clock is read, as what a network is
# compared with, and with it the decision, would turn on how busy a machine is.
_MACS_PER_SECOND = 75e9
_SECONDS = 10.0
_FEWEST, _STEP = 16, 8


def pictures_within(macs: int) -> int:
    """Return how many pictures a network is shown, and how many images are compared with them.

    As many as one core does in 10 seconds, in steps of 8 up to 64; none where that is fewer than
    16.

    ``macs``: multiply-accumulates of one image.
    """
    affordable = int(_SECONDS * _MACS_PER_SECOND / max(1, macs)) // _STEP * _STEP
    return min(affordable, MOST_COMPARED) if affordable >= _FEWEST else 0


@dataclass(frozen=True)
class SourceStatistics:
    """Mean and variance of every channel over some images, shape (C,) each."""

    mean: FloatArray64
    var: FloatArray64


@dataclass(frozen=True)
class SourceNorm:
    """A norm layer as it was loaded.

    - ``name``: path of the layer.
    - ``channels``: number of channels.
    - ``eps``: what the layer adds to a variance.
    - ``stored``: statistics of pretraining; None where the layer stores none.
    - ``depth``: share of the network's multiply-accumulates before it; None where nobody knows.
    """

    name: str
    channels: int
    eps: float
    stored: SourceStatistics | None
    depth: float | None = None


@dataclass(frozen=True)
class LayerMoments:
    """Images at the input of one norm layer, and what they are compared with.

    - ``name``: the layer's path in the network.
    - ``source_mean`` and ``source_var``, shape (C,): of what the network saw in pretraining, or of
      other images in its place.
    - ``eps``: added to the variance by the layer.
    - ``mean`` and ``square``, shape (m, C): for every image, the mean over space of the layer's
      input and of its square.
    - ``depth``: share of the network's work before it; None where nobody knows.
    """

    name: str
    source_mean: FloatArray64
    source_var: FloatArray64
    eps: float
    mean: FloatArray64
    square: FloatArray64
    depth: float | None = None


@dataclass(frozen=True)
class BatchNormMoments:
    """Moments of ``rows`` at every norm layer that is looked at, in order of depth.

    ``layers``: empty for networks without such layers. ``rows``, shape (m,): the rows of the
    catalog that were used.
    """

    layers: list[LayerMoments]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class NormMoments:
    """Moments of images at the norm layers of a network.

    - ``norms``: the layers, by depth.
    - ``values``, shape (m, width): for every layer its C means, then its C mean squares.
    - ``rows``, shape (m,): the rows of the catalog that were used.
    - ``key``: stands for the network and the layers.
    - ``n_pictures``: how many reference pictures they may be compared with.
    """

    norms: list[SourceNorm]
    values: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    key: str = ""
    n_pictures: int = 0

    @property
    def stored(self) -> bool:
        """Whether all layers know the statistics of pretraining."""
        return bool(self.norms) and all(norm.stored is not None for norm in self.norms)

    @property
    def layers(self) -> list[LayerMoments]:
        """The images beside stored statistics; empty where there are none."""
        return self.beside_stored().layers

    def beside_stored(self) -> BatchNormMoments:
        """Return the images beside stored statistics; without layers where there are none."""
        known = [norm.stored for norm in self.norms if norm.stored is not None]
        return self.beside(known) if self.stored else BatchNormMoments([], self.rows)

    def beside(self, sources: Sequence[SourceStatistics]) -> BatchNormMoments:
        """Return the images layer by layer, beside statistics of other images."""
        pairs = zip(split_moments(self.norms, self.values), self.norms, sources, strict=True)
        layers = [
            LayerMoments(norm.name, source.mean, source.var, norm.eps, mean, square, norm.depth)
            for (mean, square), norm, source in pairs
        ]
        return BatchNormMoments(layers, self.rows)


def split_moments(
    norms: Sequence[SourceNorm], values: npt.NDArray[np.float32]
) -> list[tuple[FloatArray64, FloatArray64]]:
    """Take moments (m, width) apart: for every layer means and mean squares, (m, C) each."""
    found = []
    start = 0
    for norm in norms:
        middle, stop = start + norm.channels, start + 2 * norm.channels
        mean, square = values[:, start:middle], values[:, middle:stop]
        found.append((mean.astype(np.float64), square.astype(np.float64)))
        start = stop
    return found
