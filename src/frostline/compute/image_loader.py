"""Loads images on demand: read once, checked against their digest, kept while memory allows."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.errors import UnreadableImageError
from frostline.core.machine import memory_bytes
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.data.catalog import Catalog
from frostline.data.decoding.decode import N_PAGES, N_PIXELS
from frostline.data.decoding.image_refs import ImageRef, decode_unchanged
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.unseen import Blank, blankness

V = TypeVar("V")
R = TypeVar("R")

#: bytes that preprocessed images (the network's input size) may take in memory
PREPROCESSED_BYTES = 1_000_000_000
#: bytes that whole resized images, the material of augmented views, may take in memory
RESIZED_BYTES = 1_500_000_000
#: neither may take more than this share of the machine's memory
_SHARE = 1 / 8

#: images that are read ahead, for each worker
_AHEAD = 16


@dataclass(frozen=True)
class LoadedImage:
    """One image, ready for an engine.

    - ``pixels``: shape (size, size, 3).
    - ``thumbnail``: shape (32, 32, 3).
    - ``width`` and ``height``: of the upright image, as many pixels as its file has.
    - ``pages``: pages of its file, of which the first is read.
    - ``blank``: whether it has one colour throughout.
    """

    digest: str
    pixels: UInt8Array
    thumbnail: UInt8Array
    width: int
    height: int
    pages: int
    blank: Blank


class _Memory(Generic[V]):
    """Keeps values until it is full, then keeps those.

    Training goes round all images; a least-recently-used cache that is a little too small would
    forget each of them just before its turn.
    """

    def __init__(self, limit: int) -> None:
        self._limit = affordable(limit)
        self._used = 0
        self._values: dict[str, V] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> V | None:
        return self._values.get(key)

    def put(self, key: str, value: V, size: int) -> None:
        with self._lock:
            if key not in self._values and self._used + size <= self._limit:
                self._values[key] = value
                self._used += size


class ImageLoader:
    """Loads the images of a catalog, by digest.

    ``max_pixels``: larger images are unreadable. ``workers``: threads that decode; 0 decodes in the
    calling thread. Never changes a result. ``preprocessed_bytes``: memory that preprocessed images
    may take, so that they need not be decoded again; ``PREPROCESSED_BYTES`` for None.
    """

    def __init__(
        self,
        catalog: Catalog,
        preprocessing: Preprocessing,
        *,
        max_pixels: int,
        workers: int,
        preprocessed_bytes: int | None = None,
    ) -> None:
        self._files: Mapping[str, tuple[Path | ImageRef, str]] = {
            digest: (row.origin, row.name)
            # reversed, so that of equal images the first one speaks for all
            for digest, row in zip(reversed(catalog.digests), reversed(catalog.rows), strict=True)
        }
        self.preprocessing = preprocessing
        self.max_pixels = max_pixels
        self.workers = workers
        self._preprocessed: _Memory[UInt8Array] = _Memory(
            PREPROCESSED_BYTES if preprocessed_bytes is None else preprocessed_bytes
        )
        self._resized: _Memory[Image.Image] = _Memory(RESIZED_BYTES)

    def load(self, digests: Sequence[str]) -> Iterator[LoadedImage | UnreadableImageError]:
        """Decode images, in order; an error takes the place of an unreadable one."""
        return self._read(digests, self._load)

    def pixels(self, digests: Sequence[str]) -> Iterator[UInt8Array]:
        """Yield preprocessed images (size, size, 3), uint8, in order; from memory where possible.

        Raises UnreadableImageError if a file has become unreadable.
        """
        return self.map(digests, self.preprocessed)

    def map(self, items: Sequence[V], make: Callable[[V], R]) -> Iterator[R]:
        """Yield ``make(item)`` in order, computed by the workers; errors are raised."""
        for result in self._read(items, make):
            if isinstance(result, UnreadableImageError):
                raise result
            yield result

    def preprocessed(self, digest: str) -> UInt8Array:
        """Return one preprocessed image (size, size, 3), uint8. Safe to call from many threads.

        Raises UnreadableImageError if the file has become unreadable.
        """
        kept = self._preprocessed.get(digest)
        return self._load(digest).pixels if kept is None else kept

    def resized(self, digest: str) -> Image.Image:
        """Return the whole image, resized as its preprocessing wants it; do not change it.

        Safe to call from many threads. Raises UnreadableImageError if the file has become
        unreadable.
        """
        image = self._resized.get(digest)
        if image is None:
            image = self.preprocessing.resized(self._decode(digest))
            self._resized.put(digest, image, 3 * image.width * image.height)
        return image

    def _read(
        self, items: Sequence[V], make: Callable[[V], R]
    ) -> Iterator[R | UnreadableImageError]:
        return read_in_order(items, make, workers=self.workers, window=_AHEAD * self.workers)

    def _load(self, digest: str) -> LoadedImage:
        return self._made_of(digest, self._decode(digest))

    def _made_of(self, digest: str, image: Image.Image) -> LoadedImage:
        pixels = self.preprocessing.apply(image)
        self._preprocessed.put(digest, pixels, pixels.nbytes)
        factor = decoded_smaller(image)
        return LoadedImage(
            digest,
            pixels,
            thumbnail(image),
            width=factor * image.width,
            height=factor * image.height,
            pages=int(image.info.get(N_PAGES, 1)),
            blank=blankness(image, pixels),
        )

    def _decode(self, digest: str) -> Image.Image:
        origin, name = self._files[digest]
        return decode_unchanged(
            origin,
            digest,
            name=name,
            max_pixels=self.max_pixels,
            at_least=self.preprocessing.decode_at_least,
            rules=self.preprocessing.reading,
        )


def room_for_pixels(*, trains: bool) -> int:
    """Return the bytes that preprocessed images may take in memory.

    ``trains``: whether layers may be trained; otherwise only few images are looked at again.
    """
    return PREPROCESSED_BYTES if trains else PREPROCESSED_BYTES // 16


def decoded_smaller(image: Image.Image) -> int:
    """Return by which factor an image has fewer pixels a side than its file."""
    # decoding may leave out pixels, by one whole factor for both sides
    return math.isqrt(int(image.info[N_PIXELS]) // (image.width * image.height))


def affordable(limit: int) -> int:
    """Return ``limit`` bytes, or a share of the machine's memory where that is less."""
    memory = memory_bytes()
    return limit if memory is None else min(limit, int(memory * _SHARE))


def stacked(images: Iterator[UInt8Array], n: int, size: int) -> npt.NDArray[np.uint8]:
    """Collect ``n`` images into one array (n, size, size, 3)."""
    out = np.empty((n, size, size, 3), dtype=np.uint8)
    for place, image in enumerate(images):
        out[place] = image
    return out
