"""What killed processes left in a run folder: files that never became whole."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from frostline.core.files import unfinished_name

#: where safetensors writes before it renames
_OF_SAFETENSORS = re.compile(r"\.tmp\w{6}")


def leftovers(folder: Path, names: Iterable[str] | None = None) -> list[Path]:
    """List the unfinished files of a folder that nobody writes to at this moment.

    ``names``: only those that would have become one of these files; None for all.
    """
    wanted = None if names is None else set(names)
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        name = unfinished_name(path)
        ours = name is not None and (wanted is None or name in wanted)
        if ours or (wanted is None and _OF_SAFETENSORS.fullmatch(path.name)):
            found.append(path)
    return found


def remove_leftovers(folder: Path, names: Iterable[str] | None = None) -> None:
    """Remove what :func:`leftovers` lists."""
    for path in leftovers(folder, names):
        with contextlib.suppress(OSError):
            path.unlink()


def without_leftovers(folder: Path, names: Iterable[str]) -> list[Path]:
    """List everything else that lies in a folder."""
    left = set(leftovers(folder, names))
    return [path for path in sorted(folder.iterdir()) if path not in left]
