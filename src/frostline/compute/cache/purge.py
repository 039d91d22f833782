"""Images leave the store: whatever it holds of them, for every network and every run."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import safe_open

from frostline.compute.cache.array_file import (
    DAMAGE,
    SHARD_SUFFIX,
    Arrays,
    dumps,
    read_checked,
)
from frostline.compute.cache.fact import digest_of
from frostline.compute.cache.locations import kind_folder, write_whole
from frostline.compute.cache.receipt import RECEIPTS, Receipt
from frostline.core.errors import StoreError
from frostline.core.files import (
    JSON_BYTES,
    MissingFileError,
    UnfitFileError,
    os_reason,
    read_regular,
    sweep,
    unfinished_name,
)

#: a folder is looked at until nothing is found; after so many looks somebody keeps writing to it
_LOOKS = 10


@dataclass(frozen=True)
class Purged:
    """What left the store.

    ``images``: how many of those that were named it had. ``files``: how many were written anew
    without them, or removed. ``results``: how many results of whole runs went.
    """

    images: int
    files: int
    results: int


def purge(digests: Collection[str]) -> Purged:
    """Remove everything that the store holds of some images.

    Shards are written anew without their rows before the old ones go: a process that dies in
    between loses nothing of other images, and others may read and write meanwhile. Results of
    whole runs, such as pictures for reports, do not tell which images they rest on: all of them go,
    and are made again when they are needed. A run that computes features of these images later, or
    at the same time, puts them back. Raises StoreError if a file cannot be read or removed.

    ``digests``: SHA-256 of each image's file content, in hexadecimal.
    """
    gone = frozenset(digests)
    if not gone:
        return Purged(0, 0, 0)
    seen: set[str] = set()
    files = 0
    for folder in _inside(kind_folder("images")):
        for _ in range(_LOOKS):
            changed = _purge_folder(folder, gone, seen)
            if not changed:
                break
            files += changed
        else:
            raise StoreError(
                f"Another process keeps writing images that are to go to {folder}.",
                hint="Wait until it has ended, and give the same command again.",
            )
    fits = kind_folder("fits")
    _sweep_unfinished(fits)
    results = [path for path in _inside(fits) if path.suffix == SHARD_SUFFIX]
    for path in results:
        _remove(path)
    return Purged(len(seen), files, len(results))


def _purge_folder(folder: Path, gone: frozenset[str], seen: set[str]) -> int:
    """Rewrite what names one of the images; return how many files. ``seen`` gets what it held."""
    _sweep_unfinished(folder)
    _sweep_unfinished(folder / RECEIPTS)
    receipts = {path: _receipt(path) for path in _inside(folder / RECEIPTS)}
    named = {one.shard for one in receipts.values() if one is not None}
    #: name and images of what takes the place of a shard
    instead: dict[str, tuple[str, Sequence[str]]] = {}
    for path in _inside(folder):
        if path.suffix == SHARD_SUFFIX:
            names = _digests(path)
            # what nobody can read is of another version, or damaged: it may hold them
            if names is None or not gone.isdisjoint(names):
                seen |= gone.intersection(names or ())
                kept = path.name in named and names is not None
                instead[path.name] = _without(path, gone) if kept else ("", ())
    changed = 0
    for path, receipt in receipts.items():
        if receipt is None:
            _remove(path)
            changed += 1
        elif receipt.shard in instead or not gone.isdisjoint(receipt.unreadable):
            shard, left = instead.get(receipt.shard, (receipt.shard, None))
            _replace_receipt(path, receipt, shard, left, gone)
            changed += 1
    # last: until now every other row could be found
    for name in instead:
        _remove(folder / name)
    return changed + len(instead)


def _without(path: Path, gone: frozenset[str]) -> tuple[str, Sequence[str]]:
    """Write the rows of other images as a shard of their own; return its name, and the images."""
    arrays = _arrays(path)
    if arrays is None:
        return "", ()
    names = _names(arrays)
    stays = [row for row, name in enumerate(names) if name not in gone]
    if not stays:
        return "", ()
    content = dumps({name: values[stays] for name, values in arrays.items()})
    shard = f"{hashlib.sha256(content).hexdigest()}{SHARD_SUFFIX}"
    write_whole(path.with_name(shard), content)
    return shard, [names[row] for row in stays]


def _replace_receipt(
    path: Path, receipt: Receipt, shard: str, left: Sequence[str] | None, gone: frozenset[str]
) -> None:
    """Let a receipt name another shard, and none of the images.

    ``left``: the images of that shard; None where it is the one of before.
    """
    unreadable = {name: why for name, why in receipt.unreadable.items() if name not in gone}
    # the partition that it spoke of is none any more
    number = digest_of([receipt.id, shard, sorted(unreadable)])
    rows = receipt.rows if left is None else len(left)
    if shard or unreadable:
        new = replace(receipt, id=number, shard=shard, rows=rows, unreadable=unreadable)
        write_whole(new.path(path.parents[1]), new.to_json())
    _remove(path)


def _receipt(path: Path) -> Receipt | None:
    """Read a receipt; None for what is none, or of a version that wrote others."""
    try:
        return Receipt.from_json(read_regular(path, at_most=JSON_BYTES))
    except (MissingFileError, ValueError, TypeError):
        return None
    except UnfitFileError as error:
        raise _unreadable(path, str(error)) from None


def _digests(path: Path) -> Sequence[str] | None:
    """Return the images of a shard; None where nobody can read them."""
    arrays = _arrays(path, only="digests")
    return None if arrays is None else _names(arrays)


def _names(arrays: Arrays) -> list[str]:
    return [row.tobytes().hex() for row in arrays.get("digests", np.zeros((0, 1)))]


def _arrays(path: Path, *, only: str | None = None) -> Arrays | None:
    """Read a shard; None for a damaged one, nothing from one that another process removed."""
    try:
        with safe_open(path, framework="numpy") as shard:
            names = list(shard.keys()) if only is None else [only]
            return {name: read_checked(shard, name) for name in names}
    except FileNotFoundError:
        return {}
    except DAMAGE:
        return None
    except OSError as error:
        raise _unreadable(path, os_reason(error)) from None


def _inside(folder: Path) -> Iterator[Path]:
    """Yield what a folder holds, but for files that are not whole yet."""
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unreadable(folder, os_reason(error)) from None
    yield from (path for path in found if not path.name.startswith("."))


def _sweep_unfinished(folder: Path) -> None:
    """Remove what processes that have ended left half written."""
    if folder.is_dir():
        for name in {unfinished_name(path) for path in folder.iterdir()} - {None}:
            sweep(folder, name)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be removed: {os_reason(error)}.",
            hint="It may hold what is to go: remove it yourself.",
        ) from None


def _unreadable(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} cannot be read: {why}.", hint="It may hold what is to go: remove it yourself."
    )
