"""What evidence asks of a problem and of frozen features, for images that nobody opens."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from frostline.backbones.families import Family
from frostline.compute.frozen import Frozen
from frostline.compute.moments import NormMoments, SourceNorm
from frostline.core.arrays import IntArray
from frostline.core.preprocessing import Preprocessing
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.stats.selection import Selection
from frostline.targets.protocol import Weighting

_NO_STATISTICS = Family(running_statistics=False)
Float32 = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Named:
    name: str = "pixels"
    weights_id: str = "0"
    lower_taps: tuple[str, ...] = ()
    family: Family = _NO_STATISTICS
    taps_in_space: bool = True
    preprocessing: Preprocessing = dataclasses.field(default_factory=lambda: Preprocessing(size=32))


def problem_of(
    labels: IntArray,
    *,
    groups: IntArray | None = None,
    classes: tuple[str, ...] = tuple("0123456789"),
    digests: Sequence[str] | None = None,
    weights: Weighting = "none",
    seed: int = 0,
) -> Problem:
    """Labels of images that nobody opens."""
    rows = tuple(ImageRow(Path(str(i)), str(i), int(label)) for i, label in enumerate(labels))
    named = digests or [f"{i:064x}" for i in range(len(labels))]
    catalog = Catalog("made", classes, rows, tuple(named))
    return Problem.of(catalog, groups=groups, weights=weights, seed=seed)


@dataclasses.dataclass(frozen=True)
class PixelStore:
    """Given taps of a network whose norm layers, if it has any, read the pixels at its taps.

    ``shown``: taps of the reference pictures.
    """

    taps: Float32
    slices: Mapping[str, slice]
    network: Named = dataclasses.field(default_factory=Named)
    shown: Float32 | None = None

    @property
    def features(self) -> PixelStore:
        return self

    @property
    def runner(self) -> PixelStore:
        return self

    def tap(self, names: Sequence[str], rows: IntArray) -> Float32:
        return np.concatenate([self.taps[rows, self.slices[name]] for name in names], axis=1)

    def table(self, names: Sequence[str], rows: IntArray) -> Selection:
        return Selection(self.taps, rows, [self.slices[name] for name in names])

    def moments(
        self, rows: IntArray, runtime: Runtime, *, beside_pictures: bool = True
    ) -> NormMoments:
        del runtime
        norms = [] if self.shown is None or not beside_pictures else self._norms()
        return NormMoments(norms, self._moments(self.taps[rows]), rows, "pixels", 64)

    def moments_of(self, images: npt.NDArray[np.uint8], runtime: Runtime) -> Float32:
        del runtime
        assert self.shown is not None
        return self._moments(self.shown[: len(images)])

    def _norms(self) -> list[SourceNorm]:
        widths = [(name, s.stop - s.start) for name, s in self.slices.items()]
        return [
            SourceNorm(name, width, 1e-5, None, (i + 0.5) / len(widths))
            for i, (name, width) in enumerate(widths)
        ]

    def _moments(self, taps: Float32) -> Float32:
        """Every pixel is one place: its square is the mean square."""
        parts = [(taps[:, s], taps[:, s] ** 2) for s in self.slices.values()]
        return np.concatenate([part for pair in parts for part in pair], axis=1)

    def adapted(self, rows: IntArray, runtime: Runtime) -> PixelStore:
        """Without norm layers nothing changes."""
        del rows, runtime
        return self


def pixel_store(taps: Float32, slices: Mapping[str, slice], shown: Float32 | None = None) -> Frozen:
    """Evidence asks a store for no more than this."""
    return cast("Frozen", PixelStore(taps, slices, shown=shown))
