"""One pass over the images: look them up, compute what is missing partition by partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.compute.cache.eviction import Watch, keep_within_limit
from frostline.compute.cache.fact import NETWORKS, Fact
from frostline.compute.cache.store import ImageStore, noting_failure
from frostline.compute.engines.base import Engine, FirstImages, PassTimes
from frostline.compute.image_loader import ImageLoader, LoadedImage
from frostline.compute.partition import (
    PARTITION_ROWS,
    PartitionSpec,
    Rows,
    compute_partitions,
    split_into_partitions,
    taps_fields,
    taps_store,
    write_partition,
)
from frostline.core.cuts import tap_columns
from frostline.core.errors import UnreadableImageError
from frostline.core.malloc import malloc_retain
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.runtime import Runtime

if TYPE_CHECKING:
    from frostline.backbones.frozen_network import FrozenNetwork
    from frostline.compute.engines.fastest import Started

#: pooled activations, and what was seen of an image while it was decoded
TAPS = Fact(name="taps", version=1, libraries=NETWORKS)


@dataclass
class PassReport:
    """How a pass went.

    ``engine`` and ``reason``: what computed the taps, and why; ``"stored"`` when nothing had to be
    computed. ``computed``: different images that were not found in the store. ``times``: where the
    seconds went.
    """

    engine: str = "stored"
    reason: str = "every image was found in the store"
    computed: int = 0
    times: PassTimes = field(default_factory=PassTimes)

    def add(self, before: PassReport) -> None:
        """Count what was computed for the same pass before it began."""
        if not self.computed:
            self.engine, self.reason = before.engine, before.reason
        self.computed += before.computed
        self.times.images += before.times.images
        self.times.waiting += before.times.waiting
        self.times.computing += before.times.computing


@dataclass
class TapsPass:
    """What a pass gave.

    - ``rows``: of every different image.
    - ``slices``: the columns of each tap, by depth.
    - ``key``: stands for weights, preprocessing, taps and precision.
    - ``unreadable``: why an image could not be read, by digest.
    - ``engine``: what computed the taps; None when nothing had to be computed.
    """

    rows: Rows
    slices: dict[str, slice]
    key: str
    unreadable: dict[str, str] = field(default_factory=dict)
    engine: Engine | None = None
    report: PassReport = field(default_factory=PassReport)


def run_taps_pass(
    network: FrozenNetwork,
    images: ImageLoader,
    digests: Sequence[str],
    runtime: Runtime,
    *,
    engine: Engine | None = None,
    at_once: int | None = None,
    kept: Path | None = None,
) -> TapsPass:
    """Return the taps of some images; those that the store has are not computed again.

    ``at_once``: so many images have room in memory at a time; None for no limit. ``digests``: no
    two alike. ``engine``: one that was opened for the same taps of the same weights; None opens
    one. ``kept``: where an earlier run kept features beside the store.
    """
    columns = tap_columns(map(network.cut, network.taps))
    key = taps_key(network, runtime.precision)
    width = max(column.stop for column in columns.values())
    store = taps_store(key, width)
    limit, progress = runtime.max_pixels, runtime.progress
    rows = Rows.look_up(store, digests, max_pixels=limit, progress=progress)
    if kept is not None and (left := rows.missing(digests)):
        of_run = ImageStore(kept / key, taps_fields(width))
        rows.take(Rows.look_up(of_run, left, max_pixels=limit, progress=progress))
    found = TapsPass(rows, columns, key, engine=engine)
    # by content, as partitions are: names and folders decide nothing
    missing = sorted(rows.missing(digests))
    if missing:
        with runtime.progress.task("computing features", len(missing)) as bar, malloc_retain():

            def tick() -> None:
                bar.advance()
                runtime.cancel.check()

            opened = partial(start_taps, network, at_once=at_once)
            _compute(opened, images.load(missing), missing, found, store, runtime, tick)
    return found


def taps_key(network: FrozenNetwork, precision: str) -> str:
    """Return what stands for weights, preprocessing, taps, precision and libraries."""
    from frostline.compute.engines.frozen_part import libraries_of, part_key

    part = part_key(network, "taps", network.taps)
    return TAPS.key({"part": part, "precision": precision}, libraries_of(network))


def _compute(
    start: Callable[[FirstImages, Runtime, int], tuple[Started, str]],
    images: Iterator[LoadedImage | UnreadableImageError],
    missing: Sequence[str],
    found: TapsPass,
    store: ImageStore,
    runtime: Runtime,
    tick: Callable[[], None],
) -> None:
    """Compute and keep what is missing, partition by partition."""
    rows = found.rows
    first = _FirstOfPass(images, len(missing), runtime)
    if not first.up_to(1):
        for digest, image in zip(missing, first.taken, strict=True):
            if isinstance(image, UnreadableImageError):
                found.unreadable[digest] = image.reason
        return
    began = time.perf_counter()
    waited = first.waiting
    results: list[FloatArray] = []
    if found.engine is None:
        started, found.report.reason = start(first, runtime, len(rows.index))
        found.engine, results = started.engine, started.results
    engine = found.engine
    found.report.engine = engine.name
    early = first.put(results, rows)
    # finding the fastest engine is part of the pass
    times = found.report.times
    times.images += len(early)
    times.waiting += first.waiting
    times.computing += time.perf_counter() - began - (first.waiting - waited)
    specs = split_into_partitions(
        missing,
        rows=PARTITION_ROWS,
        key=found.key,
        width=rows.arrays["taps"].shape[1],
        engine=engine.name,
        batch=engine.fixed_batch,
        threads=runtime.threads,
        precision=runtime.precision,
        max_pixels=runtime.max_pixels,
    )
    watch = Watch()

    def finish(spec: PartitionSpec) -> None:
        early.difference_update(spec.digests)
        found.report.computed += len(rows.known(spec.digests))
        with noting_failure(runtime.progress):
            write_partition(store, spec, rows, found.unreadable)
            watch.wrote(rows.bytes_of(spec.digests))

    try:
        for _ in range(len(early)):
            tick()
        compute_partitions(
            specs,
            rows,
            chain(first.left, images),
            engine,
            finish,
            unreadable=found.unreadable,
            times=times,
            tick=tick,
        )
    finally:
        # also when interrupted: what was done is kept
        if early:
            finish(specs[0].only(early))
        with noting_failure(runtime.progress):
            store.compact(runtime.progress)
            keep_within_limit()


class _FirstOfPass(FirstImages):
    """The first images of a pass that can be read.

    ``taken``: all that were asked for, unreadable ones among them. ``left``: of these, those that
    still have to be computed.
    """

    def __init__(
        self, images: Iterator[LoadedImage | UnreadableImageError], total: int, runtime: Runtime
    ) -> None:
        self.taken: list[LoadedImage | UnreadableImageError] = []
        self.left = self.taken

        def readable() -> Iterator[UInt8Array]:
            for image in images:
                runtime.cancel.check()
                self.taken.append(image)
                if isinstance(image, LoadedImage):
                    yield image.pixels

        super().__init__(readable(), total)

    def put(self, results: Sequence[FloatArray], rows: Rows) -> set[str]:
        """Put what was computed of the first images into their rows; return their digests."""
        readable = [image for image in self.taken if isinstance(image, LoadedImage)]
        for image, taps in zip(readable, results, strict=False):
            rows.put(image, taps)
        done = {image.digest for image in readable[: len(results)]}
        self.left = [
            image
            for image in self.taken
            if isinstance(image, UnreadableImageError) or image.digest not in done
        ]
        return done


def start_taps(
    network: FrozenNetwork,
    images: FirstImages,
    runtime: Runtime,
    n_images: int,
    *,
    at_once: int | None = None,
) -> tuple[Started, str]:
    """Open the engine that gives a network's taps, let it compute the first images, and say why."""
    from frostline.compute.engines.choose import start_engine
    from frostline.compute.engines.frozen_part import taps_part

    return start_engine(
        taps_part(network, network.taps),
        images,
        threads=runtime.threads,
        device=runtime.device,
        precision=runtime.precision,
        n_images=n_images,
        at_once=at_once,
    )


def open_taps(network: FrozenNetwork, check: UInt8Array, runtime: Runtime) -> Engine:
    """Open the engine that gives a network's taps, for images that are in no pass."""
    from frostline.compute.engines.choose import open_engine
    from frostline.compute.engines.frozen_part import taps_part

    engine, _ = open_engine(
        taps_part(network, network.taps),
        check=check,
        threads=runtime.threads,
        device=runtime.device,
        precision=runtime.precision,
    )
    return engine
