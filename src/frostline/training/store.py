"""What training needs from whoever did the frozen work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from frostline.backbones.network import Network
from frostline.compute.pictures import Pictures
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.stats.selection import Selection


class Activations(Protocol):
    """Stored activations of some rows at one cut; view 0 is the clean one."""

    @property
    def views(self) -> int: ...

    def __len__(self) -> int: ...

    def take(
        self, positions: npt.NDArray[np.int64] | slice, view: npt.NDArray[np.int64] | int
    ) -> npt.NDArray[np.floating]: ...


class FrozenWork(Protocol):
    """Pooled taps of all readable images, and activations on demand."""

    @property
    def network(self) -> Network: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def pictures(self) -> Pictures: ...

    @property
    def slices(self) -> dict[str, slice]: ...

    def table(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> Selection: ...

    def adapted(self, rows: npt.NDArray[np.int64], runtime: Runtime) -> FrozenWork: ...

    def materialise(
        self,
        cut: str,
        rows: npt.NDArray[np.int64],
        runtime: Runtime,
        *,
        views: int,
        level: Literal["none", "light", "standard"],
        flip: bool,
        seed: int,
    ) -> Activations: ...
