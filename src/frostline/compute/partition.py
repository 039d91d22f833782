"""One partition of the frozen pass: a list of images, computed in one way, kept as one shard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.array_file import Arrays
from frostline.compute.cache.fact import NETWORKS, digest_of, version_of
from frostline.compute.cache.locations import images_folder
from frostline.compute.cache.receipt import Receipt
from frostline.compute.cache.store import SHARD_ROWS, Field, ImageStore
from frostline.compute.engines.base import Engine, PassTimes, run_batches
from frostline.compute.image_loader import ImageLoader, LoadedImage
from frostline.core.errors import EngineError, InputError, UnreadableImageError
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.progress import Progress

#: images of a partition on one machine: what a killed process may lose
PARTITION_ROWS = SHARD_ROWS
#: images of any partition: its shard stays below 100 MB
MAX_PARTITION_ROWS = 4096
_THUMBNAIL = (32, 32, 3)


@dataclass(frozen=True, kw_only=True)
class PartitionSpec:
    """What is to be computed: equal specs leave equal bytes, whoever runs them and how often.

    Attributes
    ----------
    id : str
        Stands for everything else.
    key : str
        Of the weights, the preprocessing, the taps and the precision: the folder of the store.
    digests : tuple of str
        SHA-256 of the content of each image, in ascending order.
    width : int
        Columns of the taps.
    engine : str
        Its name, such as ``"onnxruntime-fp32"``.
    batch, threads : int
        Of the engine: the batch whose bits it gives.
    precision : {"fp32", "bf16"}
    max_pixels : int
        Larger images are unreadable.
    versions : mapping of str to str
        Of the libraries that compute.
    """

    id: str
    key: str
    digests: tuple[str, ...]
    width: int
    engine: str
    batch: int
    threads: int
    precision: str
    max_pixels: int
    versions: Mapping[str, str] = field(default_factory=lambda: library_versions())

    @classmethod
    def of(cls, digests: Iterable[str], **how: Any) -> PartitionSpec:
        """Return the partition of some images, whatever order they come in.

        Raises InputError if there are more than ``MAX_PARTITION_ROWS``.
        """
        unnamed = cls(id="", digests=tuple(sorted(set(digests))), **how)
        if len(unnamed.digests) > MAX_PARTITION_ROWS:
            raise InputError(
                f"A partition of {len(unnamed.digests)} images is too large; "
                f"it may have {MAX_PARTITION_ROWS}."
            )
        return replace(unnamed, id=digest_of(asdict(unnamed)))

    def only(self, digests: Iterable[str]) -> PartitionSpec:
        """Return the partition of some of the images."""
        how = {name: value for name, value in vars(self).items() if name not in ("id", "digests")}
        return PartitionSpec.of(digests, **how)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> PartitionSpec:
        """Read what :meth:`to_json` gave."""
        read = json.loads(text)
        return cls(**{**read, "digests": tuple(read["digests"])})

    def store(self) -> ImageStore:
        """Return where the rows are kept."""
        return taps_store(self.key, self.width)


def library_versions() -> dict[str, str]:
    """Return the versions here of the libraries that compute."""
    return {library: version_of(library) for library in NETWORKS}


def taps_store(key: str, width: int) -> ImageStore:
    """Return the store of pooled activations and of what was seen while decoding."""
    return ImageStore(images_folder(key), taps_fields(width))


def taps_fields(width: int) -> dict[str, Field]:
    """Return what is kept for every image: ``width`` activations, and what decoding showed."""
    return {
        "taps": Field("float32", (width,)),
        "thumbnail": Field("uint8", _THUMBNAIL),
        "size": Field("int64", (2,)),
        "pages": Field("int64"),
        "blank": Field("int64"),
    }


def split_into_partitions(digests: Iterable[str], *, rows: int, **how: Any) -> list[PartitionSpec]:
    """Deal images out to partitions by their content: the order of a folder changes nothing."""
    ordered = sorted(set(digests))
    return [
        PartitionSpec.of(ordered[start : start + rows], **how)
        for start in range(0, len(ordered), rows)
    ]


@dataclass(frozen=True)
class Rows:
    """What is known of images: one row each, filled in as they are computed.

    Attributes
    ----------
    index : dict of str to int
        The row of every digest.
    found : bool ndarray
        Whether a row is known.
    """

    index: Mapping[str, int]
    arrays: Arrays
    found: npt.NDArray[np.bool_]

    @classmethod
    def look_up(
        cls,
        store: ImageStore,
        digests: Sequence[str],
        *,
        max_pixels: int,
        progress: Progress | None = None,
    ) -> Rows:
        """Take what the store has; a limit that was lowered since counts for it, too."""
        arrays, found = store.get(digests, progress)
        found &= arrays["size"].prod(axis=1) <= max_pixels
        return cls({digest: row for row, digest in enumerate(digests)}, arrays, found)

    def take(self, others: Rows) -> None:
        """Fill in what other rows know of images that are missing here."""
        for digest in others.known(self.missing(others.index)):
            row, other = self.index[digest], others.index[digest]
            for name, values in self.arrays.items():
                values[row] = others.arrays[name][other]
            self.found[row] = True

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those that are not known, in their order."""
        return [digest for digest in digests if not self.found[self.index[digest]]]

    def known(self, digests: Iterable[str]) -> list[str]:
        """Return those that are known, in their order."""
        return [digest for digest in digests if self.found[self.index[digest]]]

    def put(self, image: LoadedImage, taps: FloatArray) -> None:
        row = self.index[image.digest]
        self.arrays["taps"][row] = taps
        self.arrays["thumbnail"][row] = image.thumbnail
        self.arrays["size"][row] = image.width, image.height
        self.arrays["pages"][row] = image.pages
        self.arrays["blank"][row] = image.blank
        self.found[row] = True

    def bytes_of(self, digests: Sequence[str]) -> int:
        """Return what the rows of some images take."""
        return sum(values[:1].nbytes for values in self.arrays.values()) * len(digests)

    def of(self, digests: Iterable[str]) -> Arrays:
        """Return the arrays of some images."""
        rows = [self.index[digest] for digest in digests]
        return {name: values[rows] for name, values in self.arrays.items()}


def run_partition(spec: PartitionSpec, images: ImageLoader, engine: Engine) -> Receipt:
    """Compute what the store lacks of a partition; leave one shard, then one receipt.

    Rows that the store has are not computed again, whoever put them there, and come into the shard
    as they are: what is left behind depends on the partition alone. Raises EngineError if libraries
    or engine are not those of the partition; StoreError if the store cannot be written.

    ``images``: has the images of the partition.
    """
    _check(spec, engine)
    store = spec.store()
    rows = Rows.look_up(store, spec.digests, max_pixels=spec.max_pixels)
    written: list[Receipt] = []
    unreadable: dict[str, str] = {}
    compute_partitions(
        [spec],
        rows,
        images.load(rows.missing(spec.digests)),
        engine,
        lambda done: written.append(write_partition(store, done, rows, unreadable)),
        unreadable=unreadable,
    )
    return written[-1]


def compute_partitions(
    specs: Sequence[PartitionSpec],
    rows: Rows,
    images: Iterable[LoadedImage | UnreadableImageError],
    engine: Engine,
    finish: Callable[[PartitionSpec], None],
    *,
    unreadable: dict[str, str],
    times: PassTimes | None = None,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Compute the missing rows of partitions, in their order and without a pause between them.

    - ``rows``: gets what is computed.
    - ``images``: every image that is missing, in the order of the partitions.
    - ``finish``: is given each partition as soon as its rows are known. When something interrupts,
      it is given what the current one has until then, as a partition of its own.
    - ``unreadable``: gets why images cannot be read, by digest.
    - ``times``: gets the seconds added.
    - ``tick``: is called after every image.
    """
    number = {digest: i for i, spec in enumerate(specs) for digest in spec.digests}
    missing = rows.missing(number)

    def readable() -> Iterator[tuple[LoadedImage, UInt8Array]]:
        for digest, image in zip(missing, images, strict=True):
            if isinstance(image, UnreadableImageError):
                unreadable[digest] = image.reason
            else:
                yield image, image.pixels

    finished = 0
    fresh: list[str] = []
    complete = False
    try:
        for image, taps in run_batches(engine, readable(), times):
            while number[image.digest] > finished:
                finish(specs[finished])
                finished, fresh = finished + 1, []
            rows.put(image, taps)
            fresh.append(image.digest)
            tick()
        complete = True
    finally:
        if not complete and fresh:
            finish(specs[finished].only(fresh))
    for spec in specs[finished:]:
        finish(spec)


def write_partition(
    store: ImageStore, spec: PartitionSpec, rows: Rows, unreadable: Mapping[str, str]
) -> Receipt:
    """Write the shard of a computed partition, and last its receipt.

    Raises StoreError if the store cannot be written.
    """
    known = rows.known(spec.digests)
    shard = store.write_shard(known, rows.of(known)) if known else ""
    receipt = Receipt(
        id=spec.id,
        rows=len(known),
        shard=shard,
        unreadable={digest: unreadable[digest] for digest in spec.digests if digest in unreadable},
        engine=spec.engine,
        versions=spec.versions,
    )
    store.write_receipt(receipt)
    return receipt


def _check(spec: PartitionSpec, engine: Engine) -> None:
    """Refuse to give other numbers under the same name."""
    here = {"engine": engine.name, "batch": str(engine.fixed_batch), **library_versions()}
    asked = {"engine": spec.engine, "batch": str(spec.batch), **spec.versions}
    for name, version in asked.items():
        if here.get(name) != version:
            raise EngineError(
                f"The partition is for {name} {version}, but here is {here.get(name, 'none')}."
            )
