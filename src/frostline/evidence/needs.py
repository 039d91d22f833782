"""What evidence asks of the rooms below it, as small protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from frostline.core.runtime import Runtime
from frostline.stats.selection import Selection

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class LayerMoments(Protocol):
    """The input of one BatchNorm: what it stores, and what m images gave.

    ``source_mean`` and ``source_var`` have shape (C,); ``mean`` and ``square`` have shape
    (m, C) and hold each image's spatial mean of the values and of their squares.
    """

    @property
    def name(self) -> str: ...
    @property
    def source_mean(self) -> FloatArray: ...
    @property
    def source_var(self) -> FloatArray: ...
    @property
    def eps(self) -> float: ...
    @property
    def mean(self) -> FloatArray: ...
    @property
    def square(self) -> FloatArray: ...


class Moments(Protocol):
    """Moments of every BatchNorm input, in order of depth; empty without BatchNorm."""

    @property
    def layers(self) -> Sequence[LayerMoments]: ...


class NamedNetwork(Protocol):
    """The few facts about a network that evidence quotes."""

    @property
    def name(self) -> str: ...
    @property
    def weights_id(self) -> str: ...


class Classes(Protocol):
    """A catalog, as far as its classes go."""

    @property
    def classes(self) -> tuple[str, ...]: ...


class Store(Protocol):
    """The feature store, as far as evidence reads it; ``slices`` is in order of depth."""

    @property
    def network(self) -> NamedNetwork: ...
    @property
    def catalog(self) -> Classes: ...
    @property
    def slices(self) -> Mapping[str, slice]: ...
    def table(self, names: Sequence[str], rows: IntArray) -> Selection: ...
    def moments(self, rows: IntArray, runtime: Runtime) -> Moments: ...
    def adapted(self, rows: IntArray, runtime: Runtime) -> Store: ...
