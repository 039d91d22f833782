"""What lies in the cache folder, whether it is whole, and what goes when it takes too much."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from frostline.compute.cache.locations import cache_root, checked
from frostline.compute.cache.store import SHARD_SUFFIX, whole
from frostline.core.errors import SettingsError
from frostline.core.files import sweep
from frostline.core.progress import NullProgress, Progress

Kind = Literal["images", "engines", "fits"]

#: what the cache may take unless FROSTLINE_CACHE_LIMIT says otherwise ...
DEFAULT_LIMIT = 20 * 10**9
#: ... but never more than this share of the disk
_SHARE_OF_DISK = 0.1
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "B": 1}


@dataclass(frozen=True)
class Item:
    """One file of the cache: features of up to 1024 images, or an exported network.

    ``used`` is when somebody last read or wrote it, in seconds since 1970.
    """

    kind: Kind
    path: Path
    size: int
    used: float


def items() -> list[Item]:
    """List what the cache holds, the least recently used first."""
    root = cache_root()
    found = [
        *_files("images", (root / "images").glob(f"*/*{SHARD_SUFFIX}")),
        *_files("engines", (root / "engines").glob("*.onnx")),
        *_files("fits", (root / "fits").glob(f"*{SHARD_SUFFIX}")),
    ]
    return sorted(found, key=lambda item: (item.used, item.path))


def damaged(progress: Progress | None = None) -> list[Path]:
    """Read everything; remove files that are not what was once written, and return them."""
    shown: Progress = NullProgress() if progress is None else progress
    wrong = []
    everything = items()
    with shown.task("verifying", len(everything)) as bar:
        for item in everything:
            if not _is_whole(item):
                _remove(item.path)
                wrong.append(item.path)
            bar.advance()
    return wrong


def _is_whole(item: Item) -> bool:
    """Whether a file is what was once written; one that is gone or unreadable counts as whole."""
    if item.path.suffix == SHARD_SUFFIX:
        return whole(item.path)
    try:
        return checked(item.path.read_bytes()) is not None
    except OSError:
        return True


def prune(*, to: int | None = None, older_than: float | None = None) -> list[Item]:
    """Remove what was not used for long, then the least recently used until the rest fits.

    Files that another process reads at this moment stay readable for it; what it looks for later
    it computes again.

    Parameters
    ----------
    to : int or None, default=None
        Bytes that may stay; 0 removes everything.
    older_than : float or None, default=None
        Seconds since the last use.

    Returns
    -------
    list of Item
        What was removed.
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
        _remove(item.path)
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

    Raises
    ------
    SettingsError
        If the variable cannot be understood.
    """
    asked = os.environ.get("FROSTLINE_CACHE_LIMIT")
    if asked:
        return parse_size(asked, "FROSTLINE_CACHE_LIMIT")
    root = cache_root()
    there = next((p for p in (root, *root.parents) if p.exists()), Path("/"))
    return min(DEFAULT_LIMIT, int(shutil.disk_usage(there).total * _SHARE_OF_DISK))


def parse_size(text: str, what: str) -> int:
    """Return the bytes of ``"500MB"``, ``"1.5 GB"`` or ``"0"``.

    Raises
    ------
    SettingsError
        If the text has another form; ``what`` names it.
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


def _files(kind: Kind, paths: Iterable[Path]) -> list[Item]:
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append(Item(kind, path, status.st_size, status.st_mtime))
    return found


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _tidy() -> None:
    """Remove leftovers of killed processes, and folders that became empty."""
    root = cache_root()
    for folder in (*(root / "images").glob("*"), root / "activations", root / "fits"):
        sweep(folder)
        # only an empty folder can be removed like this
        with contextlib.suppress(OSError):
            folder.rmdir()
