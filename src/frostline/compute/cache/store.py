"""Arrays kept on disk for every image, found again by the content of the image."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from frostline.compute.cache.array_file import (
    DAMAGE,
    SHARD_SUFFIX,
    Arrays,
    DamagedArraysError,
    dumps,
    read_checked,
    remove,
)
from frostline.compute.cache.eviction import keep_within_limit
from frostline.compute.cache.fact import digest_of
from frostline.compute.cache.locations import write_whole
from frostline.compute.cache.receipt import RECEIPTS, Entry, Receipt, entries, receipts_in
from frostline.core.errors import StoreError
from frostline.core.files import sweep
from frostline.core.progress import Progress

_DIGEST_BYTES = 32

#: rows that a full shard holds
SHARD_ROWS = 512
#: more small shards than this are merged
MAX_SMALL_SHARDS = 64


@dataclass(frozen=True, slots=True)
class Field:
    """One array that is kept for every image: its element type and its shape for one image."""

    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def bytes(self) -> int:
        """What it takes for one image."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class ImageStore:
    """Arrays by image content, under one key.

    A folder of shards, each a safetensors file with a checksum for every array, and of receipts
    that name them. A shard is called by the SHA-256 of its content and never changed, and only what
    a receipt names is there: any number of processes may read and write at once, those that write
    the same rows write the same files, and a killed one leaves at most what nobody looks at.

    ``folder``: one folder for one key; what the key stands for is up to the caller. ``fields``:
    what is kept for an image.
    """

    def __init__(self, folder: Path, fields: Mapping[str, Field]) -> None:
        self.folder = folder
        self._fields = dict(fields)
        for place in (folder, folder / RECEIPTS):
            sweep(place)

    def get(
        self, digests: Sequence[str], progress: Progress | None = None
    ) -> tuple[Arrays, npt.NDArray[np.bool_]]:
        """Look up images.

        Damaged shards are noted, removed and otherwise treated as if they were not there.

        Parameters
        ----------
        digests : sequence of str
            SHA-256 of each image's file content, in hexadecimal, no two alike.
        progress : Progress or None, default=None
            Is told about damaged shards.

        Returns
        -------
        arrays : dict of str to ndarray of shape (len(digests), ...)
            Zero where nothing was found.
        found : ndarray of shape (len(digests),), bool
        """
        index = {digest: i for i, digest in enumerate(digests)}
        found = np.zeros(len(index), dtype=np.bool_)
        arrays = self._empty(len(index))
        seen: set[Path] = set()
        wanted = len(index)
        # again while new receipts turn up: another process may have merged those of the last look
        while unseen := receipts_in(self.folder) - seen:
            seen |= unseen
            for entry in entries(unseen):
                if not wanted:
                    return arrays, found
                wanted -= self._take(entry, index, arrays, found, progress)
        return arrays, found

    def add(self, digests: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]]) -> Receipt | None:
        """Keep arrays for images, as a partition of their own; return None if there is no image.

        Raises StoreError if the folder cannot be written; nothing is found of them then.

        ``arrays``: one of len(digests) rows for each field.
        """
        if not digests:
            return None
        shard = self.write_shard(digests, arrays)
        receipt = Receipt(id=digest_of(list(digests)), rows=len(digests), shard=shard)
        self.write_receipt(receipt)
        return receipt

    def write_shard(self, digests: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
        """Write a shard that nobody finds until a receipt names it; return its name.

        Takes and raises what :meth:`add` does.
        """
        tensors: Arrays = {
            name: np.ascontiguousarray(arrays[name], dtype=field.dtype)
            for name, field in self._fields.items()
        }
        names = np.frombuffer(bytes.fromhex("".join(digests)), dtype=np.uint8)
        tensors["digests"] = names.reshape(len(digests), _DIGEST_BYTES)
        content = dumps(tensors)
        name = f"{hashlib.sha256(content).hexdigest()}{SHARD_SUFFIX}"
        write_whole(self.folder / name, content)
        return name

    def write_receipt(self, receipt: Receipt) -> None:
        """Let the rows of a shard be found.

        Raises StoreError if the folder cannot be written.
        """
        write_whole(receipt.path(self.folder), receipt.to_json())

    def compact(self, progress: Progress | None = None) -> None:
        """Merge small shards when there are many; other processes notice nothing.

        Raises StoreError if the folder cannot be written; nothing is lost then.
        """
        full = SHARD_ROWS * sum(field.bytes for field in self._fields.values())
        everything = entries(receipts_in(self.folder))
        small = [entry for entry in everything if _size(entry.shard) < full // 2]
        if len(small) <= MAX_SMALL_SHARDS:
            return
        merged: list[Entry] = []
        rows: dict[str, Arrays] = {}
        for entry in small:
            with self._tolerating(entry, progress), safe_open(entry.shard, "numpy") as shard:
                digests = _read_digests(shard)
                read = {name: self._read(shard, name) for name in self._fields}
                for row, digest in enumerate(digests):
                    rows[digest] = {name: values[row] for name, values in read.items()}
                merged.append(entry)
            if len(rows) >= SHARD_ROWS:
                self._replace(merged, rows)
                merged, rows = [], {}
        self._replace(merged, rows)

    def _take(
        self,
        entry: Entry,
        index: Mapping[str, int],
        arrays: Arrays,
        found: npt.NDArray[np.bool_],
        progress: Progress | None,
    ) -> int:
        """Fill in what one shard has of what is still missing; return of how many images."""
        with self._tolerating(entry, progress), safe_open(entry.shard, "numpy") as shard:
            hits = [
                (row, index[digest])
                for row, digest in enumerate(_read_digests(shard))
                if digest in index and not found[index[digest]]
            ]
            if not hits:
                return 0
            source, target = (list(side) for side in zip(*hits, strict=True))
            read = {name: self._read(shard, name) for name in self._fields}
            for name, values in read.items():
                arrays[name][target] = values[source]
            found[target] = True
            # whoever makes room removes what nobody used for longest
            for path in (entry.shard, entry.receipt):
                with contextlib.suppress(OSError):
                    os.utime(path)
            return len(hits)
        return 0

    def _replace(self, merged: list[Entry], rows: dict[str, Arrays]) -> None:
        """Write the rows first, then remove the receipts and shards they came from."""
        digests = list(rows)
        arrays = {name: np.array([rows[d][name] for d in digests]) for name in self._fields}
        receipt = self.add(digests, arrays)
        new = set() if receipt is None else {receipt.path(self.folder), self.folder / receipt.shard}
        for entry in merged:
            # a receipt first, so that what it names is there
            for path in entry:
                if path not in new:
                    remove(path)

    def _empty(self, n: int) -> Arrays:
        return {name: np.zeros((n, *f.shape), dtype=f.dtype) for name, f in self._fields.items()}

    def _read(self, shard: Any, name: str) -> npt.NDArray[Any]:
        """Return one checked array of an open shard."""
        values = read_checked(shard, name)
        field = self._fields[name]
        if values.dtype != np.dtype(field.dtype) or values.shape[1:] != field.shape:
            raise DamagedArraysError(name)
        return values

    @contextlib.contextmanager
    def _tolerating(self, entry: Entry, progress: Progress | None) -> Iterator[None]:
        """Skip a shard that is gone or cannot be opened; note and remove one that is damaged."""
        try:
            yield
        except DAMAGE:
            if progress is not None:
                progress.note(
                    "A stored file was damaged and is computed again: "
                    f"{entry.shard.name} in {self.folder}."
                )
            for path in entry:
                remove(path)
        except OSError:
            # another process has just merged it, or it belongs to somebody else
            return


def keep(store: ImageStore, digests: list[str], arrays: Arrays, progress: Progress) -> None:
    """Write to the store; a disk that is full or read-only costs time later, not this run."""
    with noting_failure(progress):
        store.add(digests, arrays)
        store.compact(progress)
        keep_within_limit()


@contextlib.contextmanager
def noting_failure(progress: Progress) -> Iterator[None]:
    """Tell, instead of raising, that the store cannot be written."""
    try:
        yield
    except StoreError as error:
        progress.note(f"What was computed could not be kept for later runs: {error}")


def _read_digests(shard: Any) -> list[str]:
    values = read_checked(shard, "digests")
    if values.dtype != np.uint8 or values.shape[1:] != (_DIGEST_BYTES,):
        raise DamagedArraysError("digests")
    return [row.tobytes().hex() for row in values]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
