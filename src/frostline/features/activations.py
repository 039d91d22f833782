"""Activations at a cut, computed once by the fastest engine and read by every epoch."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.errors import StoreError
from frostline.features.engines.base import Engine, through
from frostline.features.locations import activations_folder, sweep, temporary_name
from frostline.features.pictures import Pictures
from frostline.images.views import Level, training_view
from frostline.preprocessing import UInt8Array
from frostline.progress import Progress

#: half precision holds up to 65504; beyond this we keep single precision
_HALF_LIMIT = 6e4


@dataclass(frozen=True)
class ViewPlan:
    """Which views of an image are stored: view 0 is the clean one, the others are augmented."""

    views: int
    level: Level
    flip: bool
    seed: int


@dataclass(frozen=True)
class Activations:
    """Stored activations.

    Attributes
    ----------
    values : ndarray of shape (n, views, ...)
        Memory-mapped; float16, or float32 where half precision would overflow. The disk space is
        given back when the array is no longer used, or when the process ends, however it ends.
    """

    values: npt.NDArray[np.floating]


def compute_activations(
    engine: Engine,
    pictures: Pictures,
    digests: Sequence[str],
    shape: tuple[int, ...],
    plan: ViewPlan,
    *,
    label: str,
    progress: Progress,
) -> Activations:
    """Run every view of every image through ``engine`` and store the results.

    Parameters
    ----------
    engine : Engine
        Of the frozen prefix.
    pictures : Pictures
    digests : sequence of str
        One for each row of the result.
    shape : tuple of int
        Of the activations of one image.
    plan : ViewPlan
    label : str
        Of the progress bar.
    progress : Progress

    Raises
    ------
    StoreError
        If the cache folder cannot be written, or its disk has too little space.
    """
    full = (len(digests), plan.views, *shape)
    values: npt.NDArray[Any] = _mapped(full, np.float16)
    work = [(row, view) for row in range(len(digests)) for view in range(plan.views)]

    def view_of(item: tuple[int, int]) -> tuple[tuple[int, int], UInt8Array]:
        row, view = item
        return item, _view(pictures, digests[row], view, plan)

    with progress.task(label, len(work)) as bar:
        for (row, view), result in through(engine, pictures.map(work, view_of)):
            if values.dtype == np.float16 and float(np.abs(result).max()) > _HALF_LIMIT:
                wider = _mapped(full, np.float32)
                wider[:] = values
                values = wider
            values[row, view] = result
            bar.advance()
    return Activations(values)


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


def _mapped(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if 0 in shape:
        return np.zeros(shape, dtype=dtype)
    folder = activations_folder()
    path = folder / temporary_name("activations")
    needed = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    hint = "Free some space, or set FROSTLINE_CACHE to another folder."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        free = shutil.disk_usage(folder).free
        if needed > free:
            # a mapped file that outgrows its disk ends the process without a word
            raise StoreError(
                f"Stored activations need {needed / 1e9:.1f} GB, "
                f"but {folder} has {free / 1e9:.1f} GB left.",
                hint=hint,
            )
        mapped = np.memmap(path, dtype=dtype, mode="w+", shape=shape)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot hold {needed / 1e9:.1f} GB: {error.strerror or error}.", hint=hint
        ) from error
    # the mapping keeps the data; without a name nothing is left behind by a killed process
    with contextlib.suppress(OSError):
        path.unlink()
    return mapped
