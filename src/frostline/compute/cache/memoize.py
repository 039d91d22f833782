"""What was once made from the same inputs by the same code is read back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from frostline.compute.cache.array_file import SHARD_SUFFIX, dumps, load
from frostline.compute.cache.codec import decode, encode
from frostline.compute.cache.eviction import keep_within_limit
from frostline.compute.cache.fact import Fact
from frostline.compute.cache.locations import Kind, kind_folder, write_whole
from frostline.core.errors import StoreError

T = TypeVar("T")

#: larger results are made again: reading them would save little
MAX_BYTES = 128 * 10**6


@dataclass(frozen=True, kw_only=True)
class Memo(Fact, Generic[T]):
    """A fact whose result is one value.

    ``result``: of the value: a dataclass of plain values, arrays, pydantic models and further such
    dataclasses, or one of these. ``folder``: where it lies in the cache folder. ``max_bytes``: a
    larger result is not kept.
    """

    result: type[T]
    folder: Kind = "fits"
    max_bytes: int = MAX_BYTES

    def path(self, key: str) -> Path:
        """Return the file of what is kept under ``key``."""
        return kind_folder(self.folder) / f"{key}{SHARD_SUFFIX}"


def memoize(
    fact: Memo[T],
    inputs: Mapping[str, object],
    make: Callable[[], T],
    *,
    keep_if: Callable[[T], bool] = lambda _: True,
) -> T:
    """Return the result for ``inputs``, or make it and keep it for later runs.

    ``inputs``: all that the result turns on; see :meth:`Fact.key`. ``keep_if``: whether a result
    may be kept; any is by default.
    """
    key = fact.key(inputs)
    found = recall(fact, key)
    if found is not None:
        return found
    result = make()
    if keep_if(result):
        remember(fact, key, result)
    return result


def recall(fact: Memo[T], key: str) -> T | None:
    """Return what is kept under ``key``; None if there is nothing, or something else."""
    path = fact.path(key)
    arrays = load(path)
    if arrays is None:
        return None
    try:
        result = decode(arrays, fact.result)
    except (LookupError, TypeError, ValueError):
        return None
    # whoever makes room removes what nobody used for longest
    with contextlib.suppress(OSError):
        os.utime(path)
    return result


def remember(fact: Memo[T], key: str, result: T) -> None:
    """Keep a result; a disk that is full or read-only costs time later, not this run."""
    arrays = encode(result)
    if sum(values.nbytes for values in arrays.values()) <= fact.max_bytes:
        with contextlib.suppress(StoreError):
            write_whole(fact.path(key), dumps(arrays))
            keep_within_limit()
