"""Activations at a cut, computed once by the fastest engine and read by every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.compute.activation_buffer import ActivationBuffer, Activations
from frostline.compute.engines.base import CHECK_IMAGES, Engine, run_batches
from frostline.compute.image_loader import ImageLoader, stacked
from frostline.core.preprocessing import UInt8Array
from frostline.core.runtime import Runtime
from frostline.data.decoding.views import Level, training_view

if TYPE_CHECKING:
    from frostline.backbones.frozen_network import FrozenNetwork

#: bytes on disk that the stored activations of one run may take
ACTIVATION_BYTES = 16 * 10**9
#: views that room is made for: the clean one and four augmented ones
MOST_STORED_VIEWS = 5


@dataclass(frozen=True)
class ViewPlan:
    """What the augmented views of an image are like; view 0 is always the clean one."""

    level: Level = "none"
    flip: bool = False
    seed: int = 0


CLEAN = ViewPlan()


class ActivationCache:
    """The activations of a run, by cut and kind of view; the oldest go when they take too much.

    ``digests``: of every image. ``limit``: bytes that all buffers together may take on disk.
    ``passing``: whether these weights are on their way, so that no later run has them again.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        images: ImageLoader,
        digests: Sequence[str],
        *,
        limit: int = ACTIVATION_BYTES,
        passing: bool = False,
    ) -> None:
        self._network, self._images, self._digests = network, images, digests
        self._limit, self._passing = limit, passing
        self._buffers: dict[tuple[str, ViewPlan], ActivationBuffer] = {}
        self._prefix: tuple[str, Engine] | None = None

    def get(
        self,
        cut: str,
        rows: npt.NDArray[np.int64],
        runtime: Runtime,
        *,
        views: int = 1,
        plan: ViewPlan = CLEAN,
    ) -> Activations:
        """Return activations at ``cut``; the frozen layers run once for every view of an image.

        What an earlier fold, option or stage of the same run has stored is not computed again.
        View 0 is the clean one; the others are augmented, keyed by (seed, view, image).
        """
        name = self._network.cut(cut).name
        rows = np.asarray(rows, dtype=np.int64)
        buffer = self._find(name, plan, views)
        if buffer is None or buffer.done.shape[1] < views:
            buffer = self._new_buffer(name, plan, views, runtime)
        missing = buffer.missing(rows, views)
        if missing and not self._make_room(len(missing) * buffer.bytes_per_view, buffer):
            # what was stored for other rows at this cut takes the room of these
            self._forget(buffer)
            buffer = self._new_buffer(name, plan, views, runtime)
            missing = buffer.missing(rows, views)
            self._make_room(len(missing) * buffer.bytes_per_view, buffer)
        if missing:
            engine = self._prefix_engine(name, rows, runtime)
            self._fill(buffer, missing, engine, plan, f"frozen layers up to {name}", runtime)
            # values that needed single precision took twice the room
            self._make_room(0, buffer)
        return buffer.read(rows, views)

    def of_trained(self, network: FrozenNetwork) -> ActivationCache:
        """Return one for the same images whose layers have trained; ``self`` stays as it is."""
        return ActivationCache(
            network, self._images, self._digests, limit=self._limit, passing=True
        )

    def _find(self, cut: str, plan: ViewPlan, views: int) -> ActivationBuffer | None:
        """Return a buffer that may hold such views: the clean view is the same in all of a cut."""
        for (name, other), buffer in self._buffers.items():
            if name == cut and (views == 1 or other == plan):
                return buffer
        return None

    def _new_buffer(
        self, cut: str, plan: ViewPlan, views: int, runtime: Runtime
    ) -> ActivationBuffer:
        buffer = ActivationBuffer(
            len(self._digests),
            max(views, MOST_STORED_VIEWS),
            self._network.cut(cut).shape,
            eight_bit=runtime.activation_dtype == "uint8",
        )
        self._buffers[cut, plan] = buffer
        return buffer

    def _make_room(self, needed: int, keep: ActivationBuffer) -> bool:
        """Forget buffers, the oldest first, until ``needed`` bytes more are within the limit.

        Returns False if what ``keep`` holds is itself in the way.
        """
        for key, buffer in list(self._buffers.items()):
            if self._used + needed <= self._limit:
                return True
            if buffer is not keep:
                del self._buffers[key]
        return self._used + needed <= self._limit

    def _forget(self, buffer: ActivationBuffer) -> None:
        """Give up a buffer; whoever still reads it keeps it until then."""
        self._buffers = {key: kept for key, kept in self._buffers.items() if kept is not buffer}

    @property
    def _used(self) -> int:
        return sum(buffer.used for buffer in self._buffers.values())

    def _prefix_engine(self, cut: str, rows: npt.NDArray[np.int64], runtime: Runtime) -> Engine:
        """Open the engine of a prefix, or take the one that ran last."""
        from frostline.compute.engines.choose import open_engine
        from frostline.compute.engines.frozen_part import prefix_part

        if self._prefix is None or self._prefix[0] != cut:
            digests = [self._digests[row] for row in rows[:CHECK_IMAGES]]
            engine, _ = open_engine(
                prefix_part(self._network, cut, passing=self._passing),
                check=stacked(self._images.pixels(digests), len(digests), self._size),
                threads=runtime.threads,
                device=runtime.device,
                precision=runtime.precision,
                n_images=len(self._digests),
            )
            self._prefix = (cut, engine)
        return self._prefix[1]

    @property
    def _size(self) -> int:
        return self._network.preprocessing.size

    def _fill(
        self,
        buffer: ActivationBuffer,
        missing: Sequence[tuple[int, int]],
        engine: Engine,
        plan: ViewPlan,
        label: str,
        runtime: Runtime,
    ) -> None:
        """Run missing (row, view) pairs through the frozen prefix and store the results."""
        buffer.make_room(missing)

        def view_of(item: tuple[int, int]) -> tuple[tuple[int, int], UInt8Array]:
            row, view = item
            return item, _view(self._images, self._digests[row], view, plan)

        with runtime.progress.task(label, len(missing)) as bar:
            for (row, view), result in run_batches(engine, self._images.map(missing, view_of)):
                buffer.write(row, view, result)
                bar.advance()
                runtime.cancel.check()


def _view(images: ImageLoader, digest: str, view: int, plan: ViewPlan) -> UInt8Array:
    if view == 0 or plan.level == "none":
        return images.preprocessed(digest)
    return training_view(
        images.resized(digest),
        images.preprocessing,
        level=plan.level,
        flip=plan.flip,
        seed=plan.seed,
        epoch=view,
        key=digest,
    )
