"""The frozen work of a run: what one pass over all images found, and what is asked for later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from frostline.backbones.batchnorm_statistics import with_statistics_of
from frostline.backbones.network import Network
from frostline.backbones.run_module import to_input
from frostline.compute.activations import Activations, Shelf, Slots, ViewPlan, fill
from frostline.compute.cache.fact import NETWORKS, Fact, digest_of
from frostline.compute.cache.locations import images_folder
from frostline.compute.cache.store import Field, ImageStore, keep
from frostline.compute.engines.base import Engine, PassTimes, prefix_part, through
from frostline.compute.engines.choose import CHECK_IMAGES, open_engine
from frostline.compute.engines.torch_engine import TorchEngine
from frostline.compute.moments import BatchNormMoments, MomentsBody, moments_part
from frostline.compute.pictures import Pictures, stacked
from frostline.compute.taps_pass import TapsPass, open_taps
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.views import Level
from frostline.data.splitting.sampling import chosen_rows
from frostline.data.unseen import PictureFacts
from frostline.stats.selection import Selection

IntArray = npt.NDArray[np.int64]

#: images whose BatchNorm inputs are looked at: the shift is debiased, so few are enough
MOMENT_IMAGES = 64
#: images that re-estimated BatchNorm statistics rest on, at most
STATISTICS_IMAGES = 256
_STATISTICS_BATCH = 64
#: bytes on disk that the stored activations of one run may take
ACTIVATION_BYTES = 16 * 10**9
#: views that room is made for: the clean one and four augmented ones
MOST_STORED_VIEWS = 5
_STORED = "stored"

#: what reaches every BatchNorm, computed by PyTorch alone
MOMENTS = Fact(name="moments", version=1, libraries=NETWORKS)


@dataclass
class FeatureStore:
    """Everything frozen about the readable images of a catalog.

    Attributes
    ----------
    network : Network
    catalog : Catalog
        Readable images only; ``catalog.unreadable`` names the others.
    known : ndarray of shape (m, D), float32
        Pooled activations at ``network.taps``, side by side, of every different image.
    places : ndarray of shape (n,), int64
        The row of ``known`` that belongs to each image; below 0 for one that was left out.
    slices : dict of str to slice
        The columns of each tap, by depth.
    thumbnails : ndarray of shape (n, 32, 32, 3), uint8
    facts : PictureFacts
        Size, pages and blankness of every image.
    pictures : Pictures
        The decoded images, on demand.
    engine, engine_reason : str
        What computed the taps, and why; ``"stored"`` when nothing had to be computed.
    computed : int
        Different images that were not found in the store.
    times : PassTimes
        Where the seconds of the pass went.
    key : str
        Stands for weights, preprocessing, taps and precision: equal keys mean equal taps and, with
        the same ``numerics_id``, equal moments.
    """

    network: Network
    catalog: Catalog
    known: FloatArray
    places: IntArray
    slices: dict[str, slice]
    thumbnails: UInt8Array
    facts: PictureFacts
    pictures: Pictures
    engine: str
    engine_reason: str
    computed: int
    times: PassTimes = field(default_factory=PassTimes)
    key: str = ""
    _opened: Engine | None = None
    _moments: dict[tuple[int, ...], BatchNormMoments] = field(default_factory=dict)
    _adapted: dict[tuple[int, ...], FeatureStore] = field(default_factory=dict)
    _shelf: Shelf = field(default_factory=lambda: Shelf(ACTIVATION_BYTES))
    _prefix: tuple[str, Engine] | None = None

    @property
    def taps(self) -> FloatArray:
        """Pooled activations of every image, (n, D), float32; not a copy if all differ."""
        if np.array_equal(self.places, np.arange(len(self.known))):
            return self.known
        return np.asarray(self.table(list(self.slices), np.arange(len(self.places))))

    def table(self, names: Sequence[str], rows: IntArray) -> Selection:
        """Return the columns of some taps, in the order of ``names``, without copying them."""
        places = self.places[np.asarray(rows, dtype=np.int64)]
        return Selection(self.known, places, [self.slices[name] for name in names])

    def tap(self, names: Sequence[str], rows: IntArray) -> FloatArray:
        """Return a copy of the columns of some taps: (len(rows), d), float32."""
        return np.asarray(self.table(names, rows))

    def pixels(self, rows: IntArray) -> UInt8Array:
        """Return prepared images (len(rows), size, size, 3), uint8."""
        digests = [self.catalog.digests[row] for row in rows]
        return stacked(self.pictures.pixels(digests), len(digests), self.network.preprocessing.size)

    def batches(self, rows: IntArray, size: int = 32) -> Iterator[UInt8Array]:
        """Yield prepared images, a batch at a time."""
        for start in range(0, len(rows), size):
            yield self.pixels(rows[start : start + size])

    def features_of(self, images: UInt8Array, runtime: Runtime) -> FloatArray:
        """Return the taps (n, D) of prepared images (n, size, size, 3) that are in no store."""
        if len(images) == 0:
            return np.zeros((0, self.known.shape[1]), dtype=np.float32)
        if self._opened is None:
            self._opened, _ = open_taps(self.network, images[:CHECK_IMAGES], runtime)
        results = through(self._opened, ((None, image) for image in images))
        return np.stack([result for _, result in results])

    def moments(
        self, rows: IntArray, runtime: Runtime, limit: int = MOMENT_IMAGES
    ) -> BatchNormMoments:
        """Return what reaches every BatchNorm for at most ``limit`` of ``rows``.

        The rows are chosen by content and computed with the unfolded network in PyTorch; folding
        loses the statistics that they are compared with.
        """
        chosen = chosen_rows(self.catalog.digests, np.asarray(rows, dtype=np.int64), limit)
        key = tuple(chosen.tolist())
        if key not in self._moments:
            body = MomentsBody(self.network)
            values = self._moment_values(body, chosen, runtime) if body.names else np.zeros((0, 0))
            layers = body.layers(values.astype(np.float32)) if body.names else []
            self._moments[key] = BatchNormMoments(layers, chosen)
        return self._moments[key]

    def adapted(self, rows: IntArray, runtime: Runtime) -> FeatureStore:
        """Return the store of a copy of the network that carries the statistics of ``rows``.

        Its taps belong to ``rows`` alone; those of all other rows are NaN. At most
        ``STATISTICS_IMAGES`` of the rows set the statistics.
        """
        rows = np.asarray(rows, dtype=np.int64)
        key = tuple(rows.tolist())
        if key not in self._adapted:
            chosen = chosen_rows(self.catalog.digests, rows, STATISTICS_IMAGES)
            # batches of equal size, at least two images each
            parts = np.array_split(chosen, max(1, round(len(chosen) / _STATISTICS_BATCH)))
            preprocessing = self.network.preprocessing
            batches = (to_input(self.pixels(part), preprocessing) for part in parts)
            network = with_statistics_of(self.network, batches)
            one_pass = TapsPass(network, self.pictures, precision=runtime.precision)
            digests = [self.catalog.digests[row] for row in rows]
            found = one_pass.run(list(dict.fromkeys(digests)), runtime)
            places = np.full(len(self.catalog), -1, dtype=np.int64)
            places[rows] = [one_pass.place[digest] for digest in digests]
            # one at a time: each holds as much as the store itself
            self._adapted.clear()
            self._adapted[key] = replace(
                self,
                network=network,
                known=found["taps"],
                places=places,
                _opened=None,
                _moments={},
                _adapted={},
                _shelf=Shelf(ACTIVATION_BYTES),
                _prefix=None,
            )
        return self._adapted[key]

    def materialise(
        self,
        cut: str,
        rows: IntArray,
        runtime: Runtime,
        *,
        views: int,
        level: Level,
        flip: bool,
        seed: int,
    ) -> Activations:
        """Return activations at ``cut``; the frozen layers run once for every view of an image.

        What an earlier fold, option or stage of the same run has stored is not computed again.
        View 0 is the clean one; the others are augmented, keyed by (seed, view, image).
        """
        name = self.network.cut(cut).name
        rows = np.asarray(rows, dtype=np.int64)
        plan = ViewPlan(level, flip, seed)
        slots = self._shelf.find(name, plan, views)
        if slots is None or slots.done.shape[1] < views:
            slots = self._new_slots(name, plan, views, runtime)
        missing = slots.missing(rows, views)
        if missing and not self._shelf.make_room(len(missing) * slots.bytes_per_view, slots):
            # what was stored for other rows at this cut takes the room of these
            self._shelf.forget(slots)
            slots = self._new_slots(name, plan, views, runtime)
            missing = slots.missing(rows, views)
            self._shelf.make_room(len(missing) * slots.bytes_per_view, slots)
        if missing:
            fill(
                slots,
                missing,
                self._prefix_engine(name, rows, runtime),
                self.pictures,
                self.catalog.digests,
                plan,
                label=f"frozen layers up to {name}",
                runtime=runtime,
            )
            # values that needed single precision took twice the room
            self._shelf.make_room(0, slots)
        return slots.read(rows, views)

    def _new_slots(self, cut: str, plan: ViewPlan, views: int, runtime: Runtime) -> Slots:
        shape = self.network.cut(cut).shape
        slots = Slots(
            len(self.catalog),
            max(views, MOST_STORED_VIEWS),
            shape,
            eight_bit=runtime.activation_dtype == "uint8",
        )
        self._shelf.add(cut, plan, slots)
        return slots

    def _prefix_engine(self, cut: str, rows: IntArray, runtime: Runtime) -> Engine:
        """Open the engine of a prefix, or take the one that ran last."""
        if self._prefix is None or self._prefix[0] != cut:
            engine, _ = open_engine(
                prefix_part(self.network, cut),
                check=self.pixels(rows[:CHECK_IMAGES]),
                threads=runtime.threads,
                device=runtime.device,
                precision=runtime.precision,
                n_images=len(self.catalog),
            )
            self._prefix = (cut, engine)
        return self._prefix[1]

    def _moment_values(self, body: MomentsBody, rows: IntArray, runtime: Runtime) -> FloatArray:
        """Look moments up by image content, compute and store those that are new."""
        part = moments_part(self.network, body)
        kept = ImageStore(
            images_folder(MOMENTS.key({"part": part.key, "numerics": runtime.numerics_id})),
            {"moments": Field("float32", (body.width,))},
        )
        digests = [self.catalog.digests[row] for row in rows]
        arrays, found = kept.get(digests, runtime.progress)
        missing = [place for place in range(len(digests)) if not found[place]]
        if missing:
            engine = TorchEngine(
                part, threads=runtime.threads, device=runtime.device, precision="fp32"
            )
            images = self.pictures.pixels([digests[place] for place in missing])
            with runtime.progress.task("measuring the shift", len(missing)) as bar:
                for place, result in through(engine, zip(missing, images, strict=True)):
                    arrays["moments"][place] = result
                    bar.advance()
                    runtime.cancel.check()
            names = [digests[place] for place in missing]
            keep(kept, names, {"moments": arrays["moments"][missing]}, runtime.progress)
        return np.asarray(arrays["moments"], dtype=np.float32)


def run_passes(
    network: Network, catalog: Catalog, runtime: Runtime, *, prepared_bytes: int | None = None
) -> FeatureStore:
    """Compute the taps of every image that the store does not know yet.

    Images of equal content are computed once. What is computed is stored as it comes, so a run
    that is killed loses little. Unreadable images are left out and remembered by name.

    Parameters
    ----------
    network : Network
    catalog : Catalog
    runtime : Runtime
    prepared_bytes : int or None, default=None
        What prepared images may take in memory; see :class:`frostline.compute.pictures.Pictures`.

    Raises
    ------
    InputError
        If too few readable images remain.
    """
    pictures = Pictures(
        catalog,
        network.preprocessing,
        max_pixels=runtime.max_pixels,
        workers=runtime.workers,
        prepared_bytes=prepared_bytes,
    )
    one_pass = TapsPass(network, pictures, precision=runtime.precision)
    arrays = one_pass.run(list(dict.fromkeys(catalog.digests)), runtime)
    bad = one_pass.unreadable
    readable = catalog.without(
        {i: bad[digest] for i, digest in enumerate(catalog.digests) if digest in bad}
    )
    if bad:
        readable.check()
    places = np.array([one_pass.place[digest] for digest in readable.digests], dtype=np.int64)
    return FeatureStore(
        network=network,
        catalog=readable,
        known=arrays["taps"],
        places=places,
        slices=one_pass.slices,
        thumbnails=_gathered(arrays["thumbnail"], places),
        facts=PictureFacts(
            sizes=arrays["size"][places],
            pages=arrays["pages"][places],
            blank=arrays["blank"][places],
        ),
        pictures=pictures,
        engine=_STORED if one_pass.engine is None else one_pass.engine.name,
        engine_reason=one_pass.reason,
        computed=one_pass.computed,
        times=one_pass.times,
        key=digest_of([one_pass.key, MOMENTS.key({})]),
        _opened=one_pass.engine,
    )


def _gathered(values: UInt8Array, places: IntArray) -> UInt8Array:
    """Return ``values[places]``, without a copy where these are all rows in their order."""
    if np.array_equal(places, np.arange(len(values))):
        return values
    return values[places]
