"""The passes over a catalog's images: each image is decoded once, each frozen part run once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.backbone.network import Network
from frostline.errors import StoreError, UnreadableImageError
from frostline.features.activations import Activations, write_activations
from frostline.features.engines.base import Engine, FrozenPart, prefix_part, taps_part, through
from frostline.features.engines.choose import CHECK_IMAGES, EngineKind, open_engine
from frostline.features.locations import arrays_folder, key_of
from frostline.features.moments import BatchNormMoments, MomentsBody, chosen_rows, moments_part
from frostline.features.pictures import Pictures, Prepared, stacked
from frostline.features.store import Arrays, Field, ImageStore
from frostline.images.catalog import Catalog
from frostline.preprocessing import FloatArray, UInt8Array
from frostline.progress import NullProgress, Progress
from frostline.settings import ResolvedSettings, Settings

R = TypeVar("R")
IntArray = npt.NDArray[np.int64]
Rows = Sequence[int] | IntArray

#: images after which results are written to disk, so that a killed run loses little
_WRITE_EVERY = 512

_THUMBNAIL = (32, 32, 3)


@dataclass(frozen=True)
class _Compute:
    """Where and how engines run; the same for every pass of a run."""

    threads: int
    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    kind: EngineKind

    def open(self, part: FrozenPart, check: UInt8Array) -> tuple[Engine, str]:
        return open_engine(
            part,
            check=check,
            threads=self.threads,
            device=self.device,
            precision=self.precision,
            kind=self.kind,
        )


@dataclass
class FeatureStore:
    """What a frozen network says about a catalog's readable images.

    The network must not be changed while its store is used; train a copy of it. ``rows`` are
    positions in ``catalog`` everywhere.

    Attributes
    ----------
    network : Network
    catalog : Catalog
        Readable images only; the others are in its ``unreadable``.
    taps : ndarray of shape (n, D), float32
        Pooled activations at ``network.taps``, side by side.
    slices : dict of str to slice
        The columns of each tap.
    thumbnails : ndarray of shape (n, 32, 32, 3), uint8
    engine, engine_reason : str
        Which engine ran, and why; ``"store"`` when nothing had to be computed.
    computed : int
        Images (different ones) that were not found in the store on disk.
    max_pixels, workers, threads : int
    """

    network: Network
    catalog: Catalog
    taps: FloatArray
    slices: dict[str, slice]
    thumbnails: UInt8Array
    engine: str
    engine_reason: str
    computed: int
    max_pixels: int
    workers: int
    threads: int
    _compute: _Compute = field(repr=False)
    _pictures: Pictures = field(repr=False)
    _progress: Progress = field(repr=False)
    _moments: dict[str, FloatArray] = field(default_factory=dict, repr=False)
    _prefixes: dict[str, Engine] = field(default_factory=dict, repr=False)

    def tap(self, names: Sequence[str], rows: Rows) -> FloatArray:
        """Return the columns of some taps, in the order of ``names``: (len(rows), d), float32."""
        part = self.taps[np.asarray(rows, dtype=np.int64)]
        columns = [self.slices[self.network.cut(name).name] for name in names]
        return np.concatenate([part[:, c] for c in columns], axis=1)

    def digests(self, rows: Rows) -> list[str]:
        """Return the content digests of some rows."""
        return [self.catalog.digests[int(row)] for row in rows]

    def pixels(self, rows: Rows) -> UInt8Array:
        """Return prepared images, (len(rows), size, size, 3), uint8; decoded where not kept.

        Raises
        ------
        UnreadableImageError
            If a file has become unreadable since it was first read.
        """
        images = self._pictures.pixels(self.digests(rows))
        return stacked(images, len(rows), self.network.preprocessing.size)

    def decoded(self, row: int) -> Image.Image:
        """Return one whole image with its shorter side at ``preprocessing.resize_to``.

        The material of augmented views: kept in memory while there is room. Safe to call from
        many threads; do not change the image.

        Raises
        ------
        UnreadableImageError
            If the file has become unreadable since it was first read.
        """
        return self._pictures.resized(self.catalog.digests[int(row)])

    def images(self, rows: Rows, load: Callable[[int, Image.Image], R]) -> Iterator[R]:
        """Yield ``load(row, decoded(row))`` for every row, in order, computed by the workers.

        Raises
        ------
        UnreadableImageError
            If a file has become unreadable since it was first read.
        """
        return self._pictures.map(
            [int(row) for row in rows], lambda row: load(row, self.decoded(row))
        )

    def moments(self, rows: Rows, limit: int = 256) -> BatchNormMoments:
        """Return what reaches every BatchNorm, for at most ``limit`` different images of ``rows``.

        Always computed by PyTorch with BatchNorm unfolded; kept on disk and in memory.

        Parameters
        ----------
        rows : sequence of int
        limit : int, default=256
            Which images are used depends on their content only.
        """
        chosen = chosen_rows(self.catalog.digests, np.asarray(rows, dtype=np.int64), limit)
        body = MomentsBody(self.network)
        if not body.names:
            return BatchNormMoments([], chosen)
        part = moments_part(self.network, body)
        digests = self.digests(chosen)
        missing = [digest for digest in digests if digest not in self._moments]
        if missing:
            self._fill_moments(part, body.width, missing)
        values = np.stack([self._moments[d] for d in digests]) if digests else _nothing(body.width)
        return BatchNormMoments(body.layers(values), chosen)

    def _fill_moments(self, part: FrozenPart, width: int, digests: list[str]) -> None:
        store = ImageStore(
            arrays_folder(key_of(part.key, self._compute.precision)),
            {"moments": Field("float32", (width,))},
            progress=self._progress,
        )
        arrays, found = store.get(digests)
        for digest, values, known in zip(digests, arrays["moments"], found, strict=True):
            if known:
                self._moments[digest] = values
        missing = [digest for digest, known in zip(digests, found, strict=True) if not known]
        if not missing:
            return
        pixels = self._pictures.pixels(missing)
        check = list(islice(pixels, 1))
        torch_only = _Compute(
            self.threads, self._compute.device, self._compute.precision, kind="torch"
        )
        engine, _ = torch_only.open(part, np.stack(check))
        fresh: dict[str, FloatArray] = {}
        with self._progress.task("measuring the shift", len(missing)) as task:
            pairs = zip(missing, chain(check, pixels), strict=True)
            for digest, values in through(engine, pairs):
                fresh[digest] = values
                task.advance()
        self._moments.update(fresh)
        _keep(store, list(fresh), {"moments": np.stack(list(fresh.values()))}, self._progress)

    def materialise(
        self,
        cut: str,
        rows: Rows,
        *,
        views: int = 1,
        make_view: Callable[[int, int], UInt8Array] | None = None,
        progress: Progress | None = None,
    ) -> Activations:
        """Store the frozen prefix's output for views of images.

        Parameters
        ----------
        cut : str
        rows : sequence of int
        views : int, default=1
            Views of every image.
        make_view : callable or None, default=None
            ``make_view(row, view)`` gives a prepared image (size, size, 3), uint8; it runs in
            the workers' threads and must depend on its arguments only. None: the clean view.
        progress : Progress or None, default=None
            That of the store when None.

        Returns
        -------
        Activations
            ``array`` has shape (len(rows), views, *shape of the cut). Close it after use.

        Raises
        ------
        CutError
            If there is no such cut.
        StoreError
            If the disk has too little space.
        UnreadableImageError
            If a file has become unreadable since it was first read.
        """
        place = self.network.cut(cut)
        order = [int(row) for row in rows]

        def images() -> Iterator[UInt8Array]:
            if make_view is None:
                return self._pictures.pixels([d for d in self.digests(order) for _ in range(views)])
            make = make_view
            pairs = [(row, view) for row in order for view in range(views)]
            return self._pictures.map(pairs, lambda pair: make(*pair))

        return write_activations(
            self._prefix_engine(place.name, order),
            images,
            n=len(order),
            views=views,
            shape=place.shape,
            progress=self._progress if progress is None else progress,
            label=f"running the frozen layers up to {place.name}",
        )

    def _prefix_engine(self, cut: str, rows: list[int]) -> Engine:
        if cut not in self._prefixes:
            check = self.pixels(rows[:CHECK_IMAGES])
            self._prefixes[cut], _ = self._compute.open(prefix_part(self.network, cut), check)
        return self._prefixes[cut]


def run_passes(
    network: Network,
    catalog: Catalog,
    *,
    settings: Settings,
    resolved: ResolvedSettings,
    progress: Progress | None = None,
    engine: EngineKind = "auto",
) -> FeatureStore:
    """Read every different image once and run the frozen network on those not stored yet.

    Parameters
    ----------
    network : Network
        As it was loaded: its ``weights_id`` names what is stored.
    catalog : Catalog
    settings : Settings
        ``max_pixels`` is used.
    resolved : ResolvedSettings
        ``workers``, ``threads``, ``device`` and ``precision`` are used; ``workers`` never changes
        a result.
    progress : Progress or None, default=None
    engine : {"auto", "onnx", "torch"}, default="auto"

    Raises
    ------
    InputError
        If the images that could be read are no longer enough to learn from.
    """
    progress = NullProgress() if progress is None else progress
    part = taps_part(network, network.taps)
    slices = dict(network.body(network.taps).slices)
    width = max(s.stop for s in slices.values())
    pictures = Pictures(
        catalog,
        network.preprocessing,
        max_pixels=settings.max_pixels,
        workers=resolved.workers,
    )
    run = _TapsPass(
        part=part,
        width=width,
        pictures=pictures,
        compute=_Compute(resolved.threads, resolved.device, resolved.precision, engine),
        progress=progress,
    )
    distinct = sorted(set(catalog.digests))
    arrays = run.run(distinct, settings.max_pixels)
    unreadable = {
        row: run.failed[digest]
        for row, digest in enumerate(catalog.digests)
        if digest in run.failed
    }
    if unreadable:
        catalog = catalog.without(unreadable)
    catalog.check()
    place = {digest: i for i, digest in enumerate(distinct)}
    order = np.array([place[digest] for digest in catalog.digests], dtype=np.int64)
    return FeatureStore(
        network=network,
        catalog=catalog,
        taps=arrays["taps"][order],
        slices=slices,
        thumbnails=arrays["thumbnails"][order],
        engine=run.engine,
        engine_reason=run.reason,
        computed=run.computed,
        max_pixels=settings.max_pixels,
        workers=resolved.workers,
        threads=resolved.threads,
        _compute=run.compute,
        _pictures=pictures,
        _progress=progress,
    )


@dataclass
class _TapsPass:
    """The pass that gives taps and thumbnails, from the store or by computing them."""

    part: FrozenPart
    width: int
    pictures: Pictures
    compute: _Compute
    progress: Progress
    engine: str = "store"
    reason: str = "every image was in the store"
    computed: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def run(self, digests: list[str], max_pixels: int) -> Arrays:
        """Return taps and thumbnails of all digests; rows of unreadable ones stay empty."""
        store = ImageStore(
            arrays_folder(key_of(self.part.key, self.compute.precision)),
            {
                "taps": Field("float32", (self.width,)),
                "thumbnails": Field("uint8", _THUMBNAIL),
                "n_pixels": Field("int64"),
            },
            progress=self.progress,
        )
        arrays, found = store.get(digests)
        # an image over the limit is unreadable, also when an earlier run had a higher limit
        found &= arrays["n_pixels"] <= max_pixels
        missing = [digest for digest, known in zip(digests, found, strict=True) if not known]
        if missing:
            place = {digest: i for i, digest in enumerate(digests)}
            self._fill(missing, place, arrays, store)
        return arrays

    def _fill(
        self, missing: list[str], place: dict[str, int], arrays: Arrays, store: ImageStore
    ) -> None:
        fresh: list[str] = []

        def write() -> None:
            rows = [place[digest] for digest in fresh]
            _keep(store, fresh, {name: a[rows] for name, a in arrays.items()}, self.progress)
            fresh.clear()

        with self.progress.task("reading images", len(missing)) as task:
            readable = self._readable(missing, task.advance)
            first = list(islice(readable, CHECK_IMAGES))
            if not first:
                return
            engine, self.reason = self.compute.open(
                self.part, np.stack([image.pixels for image in first])
            )
            self.engine = engine.name
            pairs = ((image, image.pixels) for image in chain(first, readable))
            try:
                for image, values in through(engine, pairs):
                    row = place[image.digest]
                    arrays["taps"][row] = values
                    arrays["thumbnails"][row] = image.thumbnail
                    arrays["n_pixels"][row] = image.n_pixels
                    fresh.append(image.digest)
                    self.computed += 1
                    task.advance()
                    if len(fresh) >= _WRITE_EVERY:
                        write()
            finally:
                # whatever stopped the pass, what was done is kept
                write()

    def _readable(self, digests: list[str], advance: Callable[[], None]) -> Iterator[Prepared]:
        for digest, image in zip(digests, self.pictures.prepare(digests), strict=True):
            if isinstance(image, UnreadableImageError):
                self.failed[digest] = image.reason
                advance()
            else:
                yield image


def _keep(store: ImageStore, digests: list[str], arrays: Arrays, progress: Progress) -> None:
    """Write to the store; a disk that is full or read-only costs time later, not this run."""
    try:
        store.add(digests, arrays)
        store.compact()
    except StoreError as error:
        progress.note(f"What was computed could not be stored for later runs: {error}")


def _nothing(width: int) -> FloatArray:
    return np.zeros((0, width), dtype=np.float32)
