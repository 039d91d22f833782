"""What was once worked out from the same input by the same code is read back."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.eviction import keep_within_limit
from frostline.compute.cache.locations import fits_folder, key_of, write_whole
from frostline.compute.cache.store import SHARD_SUFFIX, Arrays, packed, unpacked
from frostline.core.errors import StoreError

Result = TypeVar("Result")

#: larger results are worked out again: reading them would save little
MOST_BYTES = 128 * 10**6


def kept(
    key: str,
    make: Callable[[], Result],
    *,
    pack: Callable[[Result], Arrays],
    unpack: Callable[[Arrays], Result | None],
) -> Result:
    """Return the result under ``key``, or make it and keep it for later runs.

    Parameters
    ----------
    key : str
        Stands for everything that the result turns on; see :func:`key_of` and :func:`code_of`.
    make : callable
    pack, unpack : callable
        From the result to arrays and back. ``unpack`` returns None, or raises LookupError,
        ValueError or TypeError, for arrays that are no such result.
    """
    path = fits_folder() / f"{key}{SHARD_SUFFIX}"
    found = _read(path, unpack)
    if found is not None:
        # whoever makes room removes what nobody used for longest
        with contextlib.suppress(OSError):
            os.utime(path)
        return found
    result = make()
    arrays = pack(result)
    if sum(values.nbytes for values in arrays.values()) <= MOST_BYTES:
        # a disk that is full or read-only costs time later, not this run
        with contextlib.suppress(StoreError):
            write_whole(path, packed(arrays))
            keep_within_limit()
    return result


def _read(path: Path, unpack: Callable[[Arrays], Result | None]) -> Result | None:
    """Return a kept result; None if it is not there, damaged, or written by another format."""
    arrays = unpacked(path)
    if arrays is None:
        return None
    try:
        return unpack(arrays)
    except (LookupError, ValueError, TypeError):
        return None


def content_of(*arrays: npt.ArrayLike) -> str:
    """Return hex digits that stand for the shapes, types and values of ``arrays``."""
    content = hashlib.sha256()
    for array in arrays:
        values = np.ascontiguousarray(array)
        content.update(f"{values.dtype.str} {values.shape}\x1f".encode())
        content.update(values.reshape(-1).view(np.uint8).data)
    return content.hexdigest()


@cache
def code_of(*rooms: ModuleType) -> str:
    """Stand for the code of packages, and of the libraries that they compute with."""
    content = hashlib.sha256()
    for room in rooms:
        for folder in room.__path__:
            for file in sorted(Path(folder).rglob("*")):
                if file.suffix in (".py", ".json"):
                    content.update(file.read_bytes())
    return key_of(content.hexdigest(), version("numpy"), version("scipy"))
