"""Activations at a cut, computed once by the fastest engine and read by every epoch."""

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
from frostline.compute.engines.base import Engine, through
from frostline.compute.pictures import Pictures
from frostline.core.errors import StoreError
from frostline.core.files import sweep, temporary_path
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.runtime import Runtime
from frostline.data.decoding.views import Level, training_view

#: half precision holds up to 65504; beyond this we keep single precision
_HALF_LIMIT = 6e4

_HINT = "Free some space, or set FROSTLINE_CACHE to another folder."


@dataclass(frozen=True)
class ViewPlan:
    """What the augmented views of an image are like; view 0 is always the clean one."""

    level: Level
    flip: bool
    seed: int


@dataclass(frozen=True)
class Activations:
    """Stored activations of some rows.

    Attributes
    ----------
    mapped : ndarray of shape (slots, most views, ...)
        Memory-mapped; float16, or float32 where half precision would overflow, or uint8.
    places : int array of shape (n,)
        The slot of each row.
    views : int
        Views that are there for every row: view 0 is the clean one.
    ranges : ndarray of shape (slots, most views, 2, C), float32, or None
        What the bytes stand for; None where values are stored as they are.
    """

    mapped: npt.NDArray[Any]
    places: npt.NDArray[np.int64]
    views: int
    ranges: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.places)

    def take(
        self, positions: npt.NDArray[np.int64] | slice, view: npt.NDArray[np.int64] | int
    ) -> npt.NDArray[np.floating]:
        """Return one view of each of some rows, (k, ...), as a copy."""
        places = self.places[positions]
        stored = np.asarray(self.mapped[places, view])
        return stored if self.ranges is None else from_bytes(stored, self.ranges[places, view])

    @property
    def values(self) -> npt.NDArray[np.floating]:
        """A copy of everything, (n, views, ...): for small things."""
        each = [self.take(slice(None), view) for view in range(self.views)]
        return np.stack(each, axis=1)


class Slots:
    """Room for the views of every image at one cut, filled as they are asked for.

    Folds, options and epochs of a run read the same slots, so no view of an image passes the
    frozen layers twice. The file has no name, and holes where nothing was written yet: the disk
    space is given back when nobody uses it any more, or when the process ends, however it ends.

    Parameters
    ----------
    n : int
        Images.
    views : int
        Views of an image, at most.
    shape : tuple of int
        Of the activations of one image.
    eight_bit : bool, default=False
        Store a byte a value instead of half precision.
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

        Raises
        ------
        StoreError
            If the cache folder cannot be written, or its disk has too little space.
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


def fill(
    slots: Slots,
    missing: Sequence[tuple[int, int]],
    engine: Engine,
    pictures: Pictures,
    digests: Sequence[str],
    plan: ViewPlan,
    *,
    label: str,
    runtime: Runtime,
) -> None:
    """Run the missing views through ``engine`` and store the results.

    Parameters
    ----------
    slots : Slots
    missing : sequence of (row, view)
    engine : Engine
        Of the frozen prefix.
    pictures : Pictures
    digests : sequence of str
        One for each slot.
    plan : ViewPlan
    label : str
        Of the progress bar.
    runtime : Runtime

    Raises
    ------
    StoreError
        If the cache folder cannot be written, or its disk has too little space.
    """
    slots.make_room(missing)

    def view_of(item: tuple[int, int]) -> tuple[tuple[int, int], UInt8Array]:
        row, view = item
        return item, _view(pictures, digests[row], view, plan)

    with runtime.progress.task(label, len(missing)) as bar:
        for (row, view), result in through(engine, pictures.map(missing, view_of)):
            slots.write(row, view, result)
            bar.advance()
            runtime.cancel.check()


class Shelf:
    """The slots of a run, by cut and kind of view; the oldest go when they take too much.

    Parameters
    ----------
    limit : int
        Bytes that all slots together may take on disk.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: dict[tuple[str, ViewPlan], Slots] = {}

    def find(self, cut: str, plan: ViewPlan, views: int) -> Slots | None:
        """Return slots that may hold such views: the clean view is the same in all of a cut."""
        for (name, other), slots in self._slots.items():
            if name == cut and (views == 1 or other == plan):
                return slots
        return None

    def add(self, cut: str, plan: ViewPlan, slots: Slots) -> None:
        """Keep new slots."""
        self._slots[cut, plan] = slots

    def make_room(self, needed: int, keep: Slots) -> bool:
        """Forget slots, the oldest first, until ``needed`` bytes more are within the limit.

        Returns False if what ``keep`` holds is itself in the way.
        """
        for key, slots in list(self._slots.items()):
            if self._used + needed <= self._limit:
                return True
            if slots is not keep:
                del self._slots[key]
        return self._used + needed <= self._limit

    def forget(self, slots: Slots) -> None:
        """Give up slots; whoever still reads them keeps them until then."""
        self._slots = {key: kept for key, kept in self._slots.items() if kept is not slots}

    @property
    def _used(self) -> int:
        return sum(slots.used for slots in self._slots.values())


def _view(pictures: Pictures, digest: str, view: int, plan: ViewPlan) -> UInt8Array:
    if view == 0 or plan.level == "none":
        return pictures.prepared(digest)
    return training_view(
        pictures.resized(digest),
        pictures.preprocessing,
        level=plan.level,
        flip=plan.flip,
        seed=plan.seed,
        epoch=view,
        key=digest,
    )


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
