"""One pass over the images: decode, run the frozen layers, keep what they gave."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from frostline.backbones.network import Network
from frostline.compute.cache.array_file import Arrays
from frostline.compute.cache.eviction import Watch
from frostline.compute.cache.fact import NETWORKS, Fact
from frostline.compute.cache.locations import images_folder
from frostline.compute.cache.store import SHARD_ROWS, Field, ImageStore, keep
from frostline.compute.engines.base import Engine, PassTimes, part_key, taps_part, through
from frostline.compute.engines.choose import CHECK_IMAGES, open_engine
from frostline.compute.pictures import Pictures, Prepared
from frostline.core.errors import UnreadableImageError
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.progress import Progress
from frostline.core.runtime import Precision, Runtime

_THUMBNAIL = (32, 32, 3)

#: pooled activations, and what was seen of an image while it was decoded
TAPS = Fact(name="taps", version=1, libraries=NETWORKS)


class TapsPass:
    """One pass over the images: decode, run, store.

    Attributes
    ----------
    slices : dict of str to slice
        The columns of each tap, by depth.
    place : dict of str to int
        The row of every digest in what :meth:`run` gave.
    unreadable : dict of str to str
        Why an image could not be read, by digest.
    engine, reason : Engine or None, str
        What computed the taps, and why; None when nothing had to be computed.
    computed : int
        Images that were not found in the store.
    times : PassTimes
    key : str
        Stands for weights, preprocessing, taps and precision.
    """

    def __init__(self, network: Network, pictures: Pictures, *, precision: Precision) -> None:
        self._network, self._pictures = network, pictures
        body = network.body(network.taps)
        self.slices = dict(body.slices)
        self.unreadable: dict[str, str] = {}
        self.place: dict[str, int] = {}
        self.engine: Engine | None = None
        self.reason = "every image was found in the store"
        self.computed = 0
        self.times = PassTimes()
        part = part_key(network, "taps", network.taps)
        self.key = TAPS.key({"part": part, "precision": precision})
        self._store = ImageStore(
            images_folder(self.key),
            {
                "taps": Field("float32", (body.width,)),
                "thumbnail": Field("uint8", _THUMBNAIL),
                "size": Field("int64", (2,)),
                "pages": Field("int64"),
                "blank": Field("int64"),
            },
        )

    def run(self, digests: list[str], runtime: Runtime) -> Arrays:
        """Return arrays with one row for each digest; ``place`` says which."""
        self.place = {digest: i for i, digest in enumerate(digests)}
        arrays, found = self._store.get(digests, runtime.progress)
        # a limit that was lowered since counts for stored images, too
        found &= arrays["size"].prod(axis=1) <= runtime.max_pixels
        missing = [digest for digest in digests if not found[self.place[digest]]]
        if not missing:
            return arrays
        fresh: list[str] = []
        watch = Watch()
        try:
            with runtime.progress.task("looking at images", len(missing)) as bar:
                for image, taps in self._computed(missing, runtime):
                    row = self.place[image.digest]
                    arrays["taps"][row] = taps
                    arrays["thumbnail"][row] = image.thumbnail
                    arrays["size"][row] = image.width, image.height
                    arrays["pages"][row] = image.pages
                    arrays["blank"][row] = image.blank
                    fresh.append(image.digest)
                    bar.advance()
                    if len(fresh) >= SHARD_ROWS:
                        self._keep(fresh, arrays, runtime.progress, watch)
                        fresh = []
                    runtime.cancel.check()
        finally:
            # also when interrupted: what was done is kept
            self._keep(fresh, arrays, runtime.progress, None)
        return arrays

    def _keep(
        self, digests: list[str], arrays: Arrays, progress: Progress, watch: Watch | None
    ) -> None:
        rows = [self.place[digest] for digest in digests]
        fresh = {name: values[rows] for name, values in arrays.items()}
        keep(self._store, digests, fresh, progress, watch)
        self.computed += len(digests)

    def _computed(
        self, digests: list[str], runtime: Runtime
    ) -> Iterator[tuple[Prepared, FloatArray]]:
        readable = self._readable(digests)
        first = [image for _, image in zip(range(CHECK_IMAGES), readable, strict=False)]
        if not first:
            return
        check = np.stack([image.pixels for image in first])
        self.engine, self.reason = open_taps(self._network, check, runtime, len(self.place))

        def everything() -> Iterator[tuple[Prepared, UInt8Array]]:
            for image in first:
                yield image, image.pixels
            for image in readable:
                yield image, image.pixels

        yield from through(self.engine, everything(), self.times)

    def _readable(self, digests: list[str]) -> Iterator[Prepared]:
        for digest, result in zip(digests, self._pictures.prepare(digests), strict=True):
            if isinstance(result, UnreadableImageError):
                self.unreadable[digest] = result.reason
            else:
                yield result


def open_taps(
    network: Network, check: UInt8Array, runtime: Runtime, n_images: int | None = None
) -> tuple[Engine, str]:
    """Open the engine that gives a network's taps, and say why it was taken."""
    return open_engine(
        taps_part(network, network.taps),
        check=check,
        threads=runtime.threads,
        device=runtime.device,
        precision=runtime.precision,
        n_images=n_images,
    )
