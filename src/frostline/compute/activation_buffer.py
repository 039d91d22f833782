"""Room on disk for activations at a cut, which every epoch reads."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.locations import activations_folder
from frostline.compute.eight_bit import channels_of, from_bytes, to_bytes
from frostline.core.errors import StoreError
from frostline.core.files import sweep, temporary_path
from frostline.core.preprocessing import FloatArray

#: half precision holds up to 65504; beyond this we keep single precision
_HALF_LIMIT = 6e4

_HINT = "Free some space, or set FROSTLINE_CACHE to another folder."


@dataclass(frozen=True)
class Activations:
    """Stored activations of some rows.

    - ``mapped``, shape (images, most views, ...): memory-mapped; float16, or float32 where half
      precision would overflow, or uint8.
    - ``index``, shape (n,): which of the images each row is.
    - ``views``: views that are there for every row: view 0 is the clean one.
    - ``ranges``, shape (images, most views, 2, C): what the bytes stand for; None where values are
      stored as they are.
    """

    mapped: npt.NDArray[Any]
    index: npt.NDArray[np.int64]
    views: int
    ranges: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def take(
        self, positions: npt.NDArray[np.int64] | slice, view: npt.NDArray[np.int64] | int
    ) -> npt.NDArray[np.floating]:
        """Return one view of each of some rows, (k, ...), as a copy."""
        index = self.index[positions]
        stored = np.asarray(self.mapped[index, view])
        return stored if self.ranges is None else from_bytes(stored, self.ranges[index, view])

    @property
    def values(self) -> npt.NDArray[np.floating]:
        """A copy of everything, (n, views, ...): for small things."""
        each = [self.take(slice(None), view) for view in range(self.views)]
        return np.stack(each, axis=1)


class ActivationBuffer:
    """Room for the views of every image at one cut, filled as they are asked for.

    Folds, options and epochs of a run read the same buffer, so no view of an image passes the
    frozen layers twice. The file has no name, and holes where nothing was written yet: the disk
    space is given back when nobody uses it any more, or when the process ends, however it ends.

    - ``n``: images.
    - ``views``: views of an image, at most.
    - ``shape``: of the activations of one image.
    - ``eight_bit``: store a byte a value instead of half precision.
    """

    def __init__(
        self, n: int, views: int, shape: tuple[int, ...], *, eight_bit: bool = False
    ) -> None:
        self._shape = (n, views, *shape)
        self._mapped: npt.NDArray[Any] | None = None
        self._file: BinaryIO | None = None
        self._room = np.zeros((n, views), dtype=np.bool_)
        self._dtype: type[np.generic] = np.uint8 if eight_bit else np.float16
        # pages that nobody writes take no memory
        self._ranges = (
            np.zeros((n, views, 2, channels_of(shape)), dtype=np.float32) if eight_bit else None
        )
        self.done = np.zeros((n, views), dtype=np.bool_)

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        return int(self.done.sum()) * self.bytes_per_view

    @property
    def bytes_per_view(self) -> int:
        """Bytes of one view of one image."""
        size = int(np.prod(self._shape[2:], dtype=np.int64))
        return size * np.dtype(self._dtype).itemsize

    def read(self, rows: npt.NDArray[np.int64], views: int) -> Activations:
        """Return what is stored of ``rows``; every one of them must be there."""
        mapped = np.zeros(self._shape, self._dtype) if self._mapped is None else self._mapped
        return Activations(mapped, rows, views, self._ranges)

    def missing(self, rows: npt.NDArray[np.int64], views: int) -> list[tuple[int, int]]:
        """Return (row, view) pairs that are not stored yet, each once."""
        rows = np.unique(rows)
        where = np.argwhere(~self.done[rows, :views])
        return [(int(rows[row]), int(view)) for row, view in where]

    def make_room(self, missing: Sequence[tuple[int, int]]) -> None:
        """Take the disk space of more views: (row, view) pairs.

        A write to a mapped file that finds the disk full would end the process without a word.
        Raises StoreError if the cache folder cannot be written, or its disk has too little space.
        """
        new = [pair for pair in missing if not self._room[pair]]
        _check_space(len(new) * self.bytes_per_view)
        if self._mapped is None:
            self._mapped, self._file = _mapped(self._shape, self._dtype)
        self._take(new)

    def _take(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Reserve the space of some views in the file."""
        views = self._shape[1]
        for row, view in pairs:
            if self._file is not None:
                start = (row * views + view) * self.bytes_per_view
                _reserve(self._file, start, self.bytes_per_view)
            self._room[row, view] = True

    def write(self, row: int, view: int, result: FloatArray) -> None:
        """Store one view: in half precision, or in single where that cannot hold it.

        Which of both depends on this view alone, never on what else was stored before it.
        """
        if not self._room[row, view]:
            self.make_room([(row, view)])
        if self._ranges is not None and self._mapped is not None:
            self._mapped[row, view], self._ranges[row, view] = to_bytes(result)
            self.done[row, view] = True
            return
        beyond = float(np.abs(result).max(initial=0.0)) > _HALF_LIMIT
        if beyond and self._dtype is np.float16:
            self._widen()
        if self._mapped is not None:
            self._mapped[row, view] = result if beyond else result.astype(np.float16)
        self.done[row, view] = True

    def _widen(self) -> None:
        narrow, self._dtype = self._mapped, np.float32
        taken = [(int(row), int(view)) for row, view in np.argwhere(self._room)]
        _check_space(len(taken) * self.bytes_per_view)
        wider, self._file = _mapped(self._shape, np.float32)
        self._take(taken)
        for row, view in np.argwhere(self.done):
            wider[row, view] = 0 if narrow is None else narrow[row, view]
        self._mapped = wider


def _mapped(
    shape: tuple[int, ...], dtype: npt.DTypeLike
) -> tuple[npt.NDArray[Any], BinaryIO | None]:
    """Return zeros in a file without a name, and the file."""
    if 0 in shape:
        return np.zeros(shape, dtype=dtype), None
    folder = activations_folder()
    path = temporary_path(folder / "activations")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        file: BinaryIO = path.open("w+b")
        mapped = np.memmap(file, dtype=dtype, mode="w+", shape=shape)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot hold stored activations: {error.strerror or error}.", hint=_HINT
        ) from error
    # the mapping keeps the data; without a name nothing is left behind by a killed process
    with contextlib.suppress(OSError):
        path.unlink()
    return mapped, file


def _reserve(file: BinaryIO, start: int, size: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), start, size)
    except OSError as error:
        # a file system that cannot reserve is trusted to have what it said to be free
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise StoreError(
                f"{activations_folder()} cannot hold stored activations: {error.strerror}.",
                hint=_HINT,
            ) from error


def _check_space(needed: int) -> None:
    """Refuse what the disk cannot hold: a mapped file that outgrows it ends the process."""
    folder = activations_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StoreError(
            f"{folder} cannot hold stored activations: {error.strerror or error}.", hint=_HINT
        ) from error
    if needed > free:
        raise StoreError(
            f"Stored activations need {needed / 1e9:.1f} GB, "
            f"but {folder} has {free / 1e9:.1f} GB left.",
            hint=_HINT,
        )
