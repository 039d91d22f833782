"""Rows without image files: a catalog, thumbnails and taps of any size, always the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.compute.moments import BatchNormMoments, LayerMoments
from frostline.core.arrays import FloatArray
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow, Part
from frostline.stats.selection import Selection

if TYPE_CHECKING:
    from frostline.backbones.heads.source_classifier import SourceClassifier

IntArray = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]

N_CLASSES = 20
CLASSES = tuple(f"class {label}" for label in range(N_CLASSES))
SLICES = {f"blocks.{i}": slice(64 * i, 64 * (i + 1)) for i in range(4)}
WIDTH = 256
#: one row in so many is an exact copy of the row before it
COPIED = 100
#: one thumbnail in so many shows the picture of the row before it in other pixels
ALTERED = 100
#: in every second run of so many rows the user says that they belong together
GROUP = 4
_BLOCK = 8192
_FREQUENCIES = 8
_PARTS: tuple[Part, ...] = ("train", "train", "train", "val", "test")


def labels_of(n: int) -> IntArray:
    """Classes of unequal size; rows of one group have one class."""
    rng = np.random.default_rng(1)
    share = np.arange(1, N_CLASSES + 1) / np.arange(1, N_CLASSES + 1).sum()
    drawn = rng.choice(N_CLASSES, size=n // GROUP + 1, p=share)
    return np.repeat(drawn, GROUP)[:n].astype(np.int64)


def catalog_of(n: int, *, parts: bool = False) -> Catalog:
    """Rows with groups, exact copies and, if asked for, parts that tear copies apart."""
    labels = labels_of(n)
    words = np.random.default_rng(2).integers(0, 256, (n, 32), dtype=np.uint8)
    copied = np.arange(COPIED - 1, n, COPIED)
    words[copied] = words[copied - 1]
    digests = tuple(row.tobytes().hex() for row in words)
    rows = tuple(
        ImageRow(
            path=Path(f"/simulated/class {labels[i]}/{i}.png"),
            name=f"class {labels[i]}/{i}.png",
            label=int(labels[i]),
            part=_PARTS[i % len(_PARTS)] if parts else None,
            group=f"group {i // GROUP}" if (i // GROUP) % 2 else None,
        )
        for i in range(n)
    )
    return Catalog("simulated", CLASSES, rows, digests)


def groups_of(n: int) -> IntArray:
    """Half of the rows in groups of four, the others alone."""
    rows = np.arange(n)
    together = (rows // GROUP) % 2 == 1
    return np.where(together, n + rows // GROUP, rows).astype(np.int64)


def thumbnails_of(n: int) -> npt.NDArray[np.uint8]:
    """Smooth pictures with the spectrum of photos; one in a hundred is an altered copy."""
    found = np.empty((n, 32, 32, 3), dtype=np.uint8)
    basis = _cosines()
    for number, rows in enumerate(_blocks(n)):
        rng = np.random.default_rng([3, number])
        drawn = rng.standard_normal((rows.stop - rows.start, 3, len(basis)), dtype=np.float32)
        # channels share most of what they show
        drawn[:, 1:] = 0.8 * drawn[:, :1] + 0.6 * drawn[:, 1:]
        pixels = (drawn @ basis).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        found[rows] = np.clip(128 + 40 * pixels, 0, 255)
    copied = np.arange(ALTERED - 1, n, ALTERED)
    rng = np.random.default_rng(4)
    for rows in _blocks(len(copied)):
        source = found[copied[rows] - 1].astype(np.int16)
        noise = rng.integers(-4, 5, source.shape)
        found[copied[rows]] = np.clip(source + noise, 0, 255)
    return found


def taps_of(n: int) -> Float32:
    """Taps whose classes overlap: (n, 256), float32."""
    labels = labels_of(n)
    centres = np.random.default_rng(5).standard_normal((N_CLASSES, WIDTH), dtype=np.float32)
    found = np.empty((n, WIDTH), dtype=np.float32)
    for number, rows in enumerate(_blocks(n)):
        rng = np.random.default_rng([6, number])
        rng.standard_normal(out=found[rows], dtype=np.float32)
        found[rows] += 0.15 * centres[labels[rows]]
    return found


def probabilities_of(n: int) -> FloatArray:
    """Calibrated-looking probabilities (n, classes), right four times in five."""
    labels = labels_of(n)
    rng = np.random.default_rng(7)
    odds = rng.random((n, N_CLASSES))
    odds[np.arange(n), labels] += rng.random(n) * 4.0
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)


def source_classifier() -> SourceClassifier:
    """An old classifier of a thousand classes on the mean of the last tap."""
    from frostline.backbones.heads.source_classifier import SourceClassifier as Classifier

    rng = np.random.default_rng(8)
    width = (SLICES["blocks.3"].stop - SLICES["blocks.3"].start) // 2
    names = tuple(f"old class {i}" for i in range(1000))
    return Classifier(rng.normal(size=(width, 1000)), np.zeros(1000), names)


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, _BLOCK):
        yield slice(start, min(n, start + _BLOCK))


def _cosines() -> Float32:
    """Cosine waves (64, 1024), weaker the finer they are, as in photos."""
    x = (np.arange(32) + 0.5) / 32
    waves = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * x)
    both = np.einsum("ux,vy->uvxy", waves, waves).reshape(-1, 1024)
    u, v = np.divmod(np.arange(_FREQUENCIES**2), _FREQUENCIES)
    return np.asarray(both / (1.0 + u**2 + v**2)[:, None] ** 0.75, dtype=np.float32)


@dataclass(frozen=True)
class _Named:
    name: str = "simulated"
    weights_id: str = "0"


@dataclass(frozen=True)
class SimulatedStore:
    """What evidence reads of a feature store."""

    taps: Float32
    slices: Mapping[str, slice] = field(default_factory=lambda: dict(SLICES))
    network: _Named = field(default_factory=_Named)

    @property
    def features(self) -> SimulatedStore:
        """Stands for the features, too."""
        return self

    @property
    def runner(self) -> SimulatedStore:
        """Stands for the runner, too."""
        return self

    def table(self, names: Sequence[str], rows: IntArray) -> Selection:
        """Columns of some taps, not copied."""
        return Selection(self.taps, rows, [self.slices[name] for name in names])

    def moments(self, rows: IntArray, runtime: Runtime, limit: int = 64) -> BatchNormMoments:
        """Statistics of at most ``limit`` images, as the real store gives them."""
        del runtime
        rng = np.random.default_rng(len(rows))
        mean = rng.normal(size=(limit, 32))
        layers = [
            LayerMoments(f"bn{i}", np.zeros(32), np.ones(32), 1e-5, mean, mean**2 + 1.0)
            for i in range(20)
        ]
        return BatchNormMoments(layers, rows[:limit])

    def adapted(self, rows: IntArray, runtime: Runtime) -> SimulatedStore:
        """No norm layers, no change."""
        del rows, runtime
        return self
