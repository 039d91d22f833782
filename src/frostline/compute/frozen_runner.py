"""What the frozen network is asked for after the pass: pixels, moments, features of new images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from frostline.compute.cache.fact import NETWORKS, Fact
from frostline.compute.cache.locations import images_folder
from frostline.compute.cache.store import Field, ImageStore, keep
from frostline.compute.engines.base import CHECK_IMAGES, Engine, run_batches
from frostline.compute.engines.frozen_part import libraries_of
from frostline.compute.features import Features
from frostline.compute.image_loader import ImageLoader, stacked
from frostline.compute.moments import MOST_COMPARED, NormMoments, pictures_within
from frostline.compute.taps_pass import open_taps, run_taps_pass
from frostline.core.arrays import IntArray
from frostline.core.batches import images_of_a_call
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.runtime import Runtime
from frostline.data.splitting.sampling import chosen_rows

if TYPE_CHECKING:
    from frostline.backbones.frozen_network import FrozenNetwork
    from frostline.compute.engines.moments_of import NormInputs

#: images that re-estimated BatchNorm statistics rest on, at most
STATISTICS_IMAGES = 256
_STATISTICS_BATCH = 64

#: what reaches norm layers
MOMENTS = Fact(name="moments", version=2, libraries=NETWORKS)


@dataclass(frozen=True)
class Adapted:
    """A copy of a network with re-estimated norm statistics, and what it says.

    ``features``: of the rows that were asked for; those of all other rows are NaN.
    """

    network: FrozenNetwork
    features: Features


class FrozenRunner:
    """Runs a frozen network over images of a catalog.

    ``features``: what the pass over the catalog found. ``engine``: what computes taps; opened when
    it is needed, if None.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        features: Features,
        images: ImageLoader,
        engine: Engine | None = None,
    ) -> None:
        self.network, self.images = network, images
        self._features = features
        self._digests = features.catalog.digests
        self._engine = engine
        self._moments: dict[tuple[int, ...], NormMoments] = {}
        self._adapted: tuple[tuple[int, ...], Adapted] | None = None

    def pixels(self, rows: IntArray) -> UInt8Array:
        """Return preprocessed images (len(rows), size, size, 3), uint8."""
        digests = [self._digests[row] for row in rows]
        return stacked(self.images.pixels(digests), len(digests), self.network.preprocessing.size)

    def batches(self, rows: IntArray, most: int = 32) -> Iterator[UInt8Array]:
        """Yield preprocessed images, a batch at a time: fewer than ``most`` of large ones."""
        size = images_of_a_call(most, self.network.preprocessing.size)
        for start in range(0, len(rows), size):
            yield self.pixels(rows[start : start + size])

    def features_of(self, images: UInt8Array, runtime: Runtime) -> FloatArray:
        """Return the taps (n, D) of preprocessed images (n, size, size, 3) that are in no store."""
        if len(images) == 0:
            return np.zeros((0, self._features.values.shape[1]), dtype=np.float32)
        if self._engine is None:
            self._engine = open_taps(self.network, images[:CHECK_IMAGES], runtime)
        results = run_batches(self._engine, ((None, image) for image in images))
        return np.stack([result for _, result in results])

    def moments(
        self,
        rows: IntArray,
        runtime: Runtime,
        limit: int = MOST_COMPARED,
        *,
        beside_pictures: bool = True,
    ) -> NormMoments:
        """Return what reaches norm layers for at most ``limit`` of ``rows``.

        The rows are chosen by content and computed with the network as it is; merging layers
        loses the statistics that they are compared with. Where no statistics are stored, images
        are compared with pictures: large networks see fewer of them, or none, and none do without
        ``beside_pictures``.
        """
        from frostline.compute.engines.moments_of import norm_inputs

        inputs, pictures = norm_inputs(self.network), 0
        if not inputs.stored:
            pictures = pictures_within(self.network.macs) if beside_pictures else 0
            limit = min(limit, pictures)
        norms = inputs.norms if limit else []
        chosen = chosen_rows(self._digests, np.asarray(rows, dtype=np.int64), limit)
        key = tuple(chosen.tolist())
        if key not in self._moments:
            values = np.zeros((len(chosen), 0), dtype=np.float32)
            if norms:
                values = self._moment_values(inputs, chosen, runtime)
            self._moments[key] = NormMoments(norms, values, chosen, inputs.key, pictures)
        return self._moments[key]

    def moments_of(self, images: UInt8Array, runtime: Runtime) -> FloatArray:
        """Return the moments (n, width) of preprocessed images that are in no store."""
        from frostline.compute.engines.moments_of import norm_inputs, open_moments

        inputs = norm_inputs(self.network)
        engine = open_moments(self.network, inputs, runtime)
        results = run_batches(engine, ((None, image) for image in images))
        return np.stack([result for _, result in results])

    def adapted(self, rows: IntArray, runtime: Runtime) -> Adapted:
        """Return a copy of the network that carries the statistics of ``rows``, and their features.

        At most ``STATISTICS_IMAGES`` of the rows set the statistics.
        """
        rows = np.asarray(rows, dtype=np.int64)
        key = tuple(rows.tolist())
        if self._adapted is None or self._adapted[0] != key:
            # one at a time: each holds as much as the features themselves
            self._adapted = None
            self._adapted = key, self._adapt(rows, runtime)
        return self._adapted[1]

    def _adapt(self, rows: IntArray, runtime: Runtime) -> Adapted:
        from frostline.compute.statistics import with_statistics_of_images

        chosen = chosen_rows(self._digests, rows, STATISTICS_IMAGES)
        # batches of equal size, at least two images each
        parts = np.array_split(chosen, max(1, round(len(chosen) / _STATISTICS_BATCH)))
        batches = (self.pixels(part) for part in parts)
        network = with_statistics_of_images(self.network, batches, runtime)
        digests = [self._digests[row] for row in rows]
        found = run_taps_pass(network, self.images, list(dict.fromkeys(digests)), runtime)
        index = np.full(len(self._digests), -1, dtype=np.int64)
        index[rows] = [found.rows.index[digest] for digest in digests]
        features = replace(
            self._features,
            weights_id=network.weights_id,
            values=found.rows.arrays["taps"],
            index=index,
            key=found.key,
        )
        return Adapted(network, features)

    def _moment_values(self, inputs: NormInputs, rows: IntArray, runtime: Runtime) -> FloatArray:
        """Look moments up by image content, compute and store those that are new."""
        from frostline.compute.engines.moments_of import open_moments

        what = {"part": inputs.key, "numerics": runtime.numerics_id}
        store = ImageStore(
            images_folder(MOMENTS.key(what, libraries_of(self.network))),
            {"moments": Field("float32", (inputs.width,))},
        )
        digests = [self._digests[row] for row in rows]
        arrays, found = store.get(digests, runtime.progress)
        missing = np.flatnonzero(~found)
        if len(missing):
            engine = open_moments(self.network, inputs, runtime)
            images = self.images.pixels([digests[i] for i in missing])
            with runtime.progress.task("measuring the shift", len(missing)) as bar:
                for i, result in run_batches(engine, zip(missing, images, strict=True)):
                    arrays["moments"][i] = result
                    bar.advance()
                    runtime.cancel.check()
            names = [digests[i] for i in missing]
            keep(store, names, {"moments": arrays["moments"][missing]}, runtime.progress)
        return np.asarray(arrays["moments"], dtype=np.float32)
