"""The output of a frozen prefix for many views of many images, on disk for the length of a run."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from frostline.errors import StoreError
from frostline.features.engines.base import Engine, through
from frostline.features.locations import activations_folder, sweep, temporary_name
from frostline.preprocessing import UInt8Array
from frostline.progress import Progress

#: half precision ends at 65,504; beyond this bound single precision is stored
MAX_HALF = 6e4

FileArray = npt.NDArray[np.float16] | npt.NDArray[np.float32]


class Activations:
    """Stored activations at one cut. A context manager; the file goes with it.

    Attributes
    ----------
    array : ndarray of shape (n, views, ...), float16 (float32 where half precision overflows)
        Mapped from a file, so it may be larger than memory. Read it only.
    """

    array: FileArray

    def __init__(self, array: FileArray, file: Path) -> None:
        self.array = array
        # also runs at interpreter exit; only a killed process leaves its file to the next sweep
        self._finalizer = weakref.finalize(self, _remove, file)

    def close(self) -> None:
        """Let go of the array and remove its file; may be called twice."""
        self.array = np.empty((0,), dtype=np.float16)
        self._finalizer()

    def __enter__(self) -> Activations:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def write_activations(
    engine: Engine,
    images: Callable[[], Iterator[UInt8Array]],
    *,
    n: int,
    views: int,
    shape: tuple[int, ...],
    progress: Progress,
    label: str,
) -> Activations:
    """Run images through a prefix and store what comes out.

    Parameters
    ----------
    engine : Engine
        Prepared images to activations (batch, *shape).
    images : callable
        Starts the ``n * views`` prepared images from the beginning: all views of the first
        image, then of the second, and so on. Called a second time if half precision overflows.
    n, views : int
    shape : tuple of int
        Of the activations of one image.
    progress : Progress
    label : str
        Of the progress bar.

    Raises
    ------
    StoreError
        If the disk has too little space or cannot be written.
    """
    folder = activations_folder()
    sweep(folder)
    half = _write(engine, images(), np.float16, folder, (n, views, *shape), progress, label)
    if half is not None:
        return half
    single = _write(engine, images(), np.float32, folder, (n, views, *shape), progress, label)
    if single is None:
        raise StoreError("The activations are not finite.", hint="Please report the backbone.")
    return single


def _write(
    engine: Engine,
    images: Iterator[UInt8Array],
    dtype: type[np.float16] | type[np.float32],
    folder: Path,
    shape: tuple[int, ...],
    progress: Progress,
    label: str,
) -> Activations | None:
    """Write everything in one precision; None when a value does not fit into it."""
    limit = MAX_HALF if dtype is np.float16 else np.finfo(np.float32).max
    file = folder / temporary_name("activations")
    array = _mapped(file, dtype, shape)
    stored = Activations(array, file)
    flat = array.reshape(shape[0] * shape[1], *shape[2:])
    try:
        with progress.task(label, len(flat)) as task:
            for place, values in through(engine, enumerate(images)):
                # written so that NaN fails as well
                if not np.abs(values).max(initial=0.0) <= limit:
                    stored.close()
                    return None
                flat[place] = values
                task.advance()
    except BaseException:
        stored.close()
        raise
    return stored


def _mapped(
    file: Path, dtype: type[np.float16] | type[np.float32], shape: tuple[int, ...]
) -> FileArray:
    needed = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(file.parent).free
        if needed > free:
            # a mapped file that outgrows its disk would end the process without a word
            raise StoreError(
                f"Stored activations need {needed / 1e9:.1f} GB, "
                f"but {file.parent} has {free / 1e9:.1f} GB left.",
                hint="Free some space, or set FROSTLINE_CACHE to another folder.",
            )
        array: FileArray = np.memmap(file, dtype=dtype, mode="w+", shape=shape)
    except OSError as error:
        raise StoreError(
            f"{file.parent} cannot be written: {error.strerror or error}.",
            hint="Free some space, or set FROSTLINE_CACHE to another folder.",
        ) from error
    return array


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        # still mapped by somebody, on a system that minds; the next sweep gets it
        return
