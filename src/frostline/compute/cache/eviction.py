"""What lies in the cache folder, whether it is whole, and what goes when it takes too much."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from frostline.compute.cache.array_file import SHARD_SUFFIX, is_whole, remove
from frostline.compute.cache.locations import Kind, activations_folder, cache_root, kind_folder
from frostline.compute.cache.receipt import RECEIPTS, remove_orphans
from frostline.core.errors import SettingsError
from frostline.core.files import sweep
from frostline.core.progress import NullProgress, Progress

KINDS: tuple[Kind, ...] = get_args(Kind)

#: what the cache may take unless FROSTLINE_CACHE_LIMIT says otherwise ...
DEFAULT_LIMIT = 20 * 10**9
#: ... but never more than this share of the disk
_SHARE_OF_DISK = 0.1
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "B": 1}


@dataclass(frozen=True)
class Item:
    """One file of the cache: features of up to 512 images, an exported network, a result.

    ``used`` is when somebody last read or wrote it, in seconds since 1970.
    """

    kind: Kind
    path: Path
    size: int
    used: float


def items() -> list[Item]:
    """List what the cache holds, also of earlier versions, the least recently used first."""
    found = [item for kind in KINDS for item in _files(kind)]
    return sorted(found, key=lambda item: (item.used, item.path))


def damaged(progress: Progress | None = None) -> list[Path]:
    """Read everything; remove files that are not what was once written, and return them."""
    shown: Progress = NullProgress() if progress is None else progress
    wrong = []
    everything = items()
    with shown.task("verifying", len(everything)) as bar:
        for item in everything:
            # earlier versions had other files, too, which nobody reads any more
            if item.path.suffix == SHARD_SUFFIX and not is_whole(item.path):
                remove(item.path)
                remove_orphans(item.path.parent)
                wrong.append(item.path)
            bar.advance()
    return wrong


def prune(*, to: int | None = None, older_than: float | None = None) -> list[Item]:
    """Remove what was not used for long, then the least recently used until the rest fits.

    Files that another process reads at this moment stay readable for it; what it looks for later
    it computes again.

    ``to``: bytes that may stay; 0 removes everything. ``older_than``: seconds since the last use.
    The result: what was removed.
    """
    left = items()
    removed = []
    if older_than is not None:
        before = time.time() - older_than
        removed = [item for item in left if item.used < before]
        left = [item for item in left if item.used >= before]
    if to is not None:
        total = sum(item.size for item in left)
        for item in left:
            if total <= to:
                break
            removed.append(item)
            total -= item.size
    for item in removed:
        remove(item.path)
    pruned = {item.path.parent for item in removed if item.kind == "images"}
    if to == 0:
        # some have nothing but receipts, which take no room worth counting
        pruned |= set(kind_folder("images").glob("*"))
    for folder in pruned:
        remove_orphans(folder)
    _tidy()
    return removed


def keep_within_limit() -> list[Item]:
    """Remove the least recently used files beyond the limit; called after every pass."""
    return prune(to=limit())


class Watch:
    """Keeps the cache within its limit while a long pass writes to it.

    Looking at every file after every write would take time that grows with the square of the
    number of files, so it looks again whenever a 64th of the limit was written.
    """

    def __init__(self) -> None:
        self._step = limit() // 64
        self._written = 0

    def wrote(self, size: int) -> None:
        """Count ``size`` more bytes, and make room when they have become many."""
        self._written += size
        if self._written > self._step:
            self._written = 0
            keep_within_limit()


def limit() -> int:
    """Return the bytes that the cache may take.

    ``FROSTLINE_CACHE_LIMIT`` such as ``"5GB"``, else 20 GB or a tenth of the disk if that is less.
    Raises SettingsError if the variable cannot be understood.
    """
    asked = os.environ.get("FROSTLINE_CACHE_LIMIT")
    if asked:
        return parse_size(asked, "FROSTLINE_CACHE_LIMIT")
    root = cache_root()
    there = next((p for p in (root, *root.parents) if p.exists()), Path("/"))
    return min(DEFAULT_LIMIT, int(shutil.disk_usage(there).total * _SHARE_OF_DISK))


def parse_size(text: str, what: str) -> int:
    """Return the bytes of ``"500MB"``, ``"1.5 GB"`` or ``"0"``.

    Raises SettingsError if the text has another form; ``what`` names it.
    """
    plain = text.strip().upper()
    unit = next((name for name in _UNITS if plain.endswith(name)), "")
    try:
        value = float(plain.removesuffix(unit)) * _UNITS.get(unit, 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise SettingsError(f"{what} must look like '500MB' or '5GB', not {text!r}.")
    return int(value)


def _files(kind: Kind) -> Iterator[Item]:
    """Yield the files of one kind; those that nobody has finished are hidden."""
    for path in kind_folder(kind).glob("*/*" if kind == "images" else "*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and not path.name.startswith("."):
                yield Item(kind, path, status.st_size, status.st_mtime)


def _tidy() -> None:
    """Remove leftovers of killed processes, and folders that became empty."""
    images = list(kind_folder("images").glob("*"))
    folders = [*(folder / RECEIPTS for folder in images), *images]
    folders += [*map(kind_folder, KINDS), activations_folder()]
    for folder in folders:
        sweep(folder)
        # only an empty folder can be removed like this
        with contextlib.suppress(OSError):
            folder.rmdir()
