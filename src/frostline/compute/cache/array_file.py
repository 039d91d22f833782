"""Named arrays in one file, each with a checksum."""

from __future__ import annotations

import contextlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

#: ending of the files
SHARD_SUFFIX = ".shard"
#: where the checksums stand; a single entry, as the library writes several in any order
_CHECKSUMS = "frostline-arrays-3"
#: what files of Frostline 0.1 have there, which nobody looks for any more
_FORMER = "frostline-arrays-2"

Arrays = dict[str, npt.NDArray[Any]]


class DamagedArraysError(Exception):
    """A file that is not what was once written."""


#: what reading a damaged file may raise
DAMAGE = (DamagedArraysError, SafetensorError, KeyError, ValueError, TypeError)


def dumps(arrays: Arrays) -> bytes:
    """Return arrays as one safetensors file with a checksum for each: always the same bytes."""
    # the library writes other arrays as they happen to lie in memory
    rowwise = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    checksums = {name: _checksum(values) for name, values in sorted(rowwise.items())}
    content: bytes = save(rowwise, metadata={_CHECKSUMS: json.dumps(checksums)})
    return content


def load(path: Path) -> Arrays | None:
    """Read what :func:`dumps` gave; None if it is not there, and removed if it is damaged."""
    try:
        with safe_open(path, framework="numpy") as shard:
            # not the metadata of a shard but a method of the file's handle
            return {name: read_checked(shard, name) for name in list(shard.keys())}
    except DAMAGE:
        remove(path)
    except OSError:
        pass
    return None


def is_whole(path: Path) -> bool:
    """Whether a file is what was once written.

    One that is gone or unreadable, and one of an earlier version, counts as whole.
    """
    try:
        with safe_open(path, framework="numpy") as shard:
            if (shard.metadata() or {}).get("format") == _FORMER:
                return True
            # not the metadata of a shard but a method of the file's handle
            for name in list(shard.keys()):
                read_checked(shard, name)
    except DAMAGE:
        return False
    except OSError:
        return True
    return True


def read_checked(shard: Any, name: str) -> npt.NDArray[Any]:
    """Return one array of an open file.

    Raises DamagedArraysError if it is not what was written.
    """
    values: npt.NDArray[Any] = shard.get_tensor(name)
    checksums = json.loads((shard.metadata() or {})[_CHECKSUMS])
    if checksums[name] != _checksum(values):
        raise DamagedArraysError(name)
    return values


def remove(path: Path) -> None:
    """Remove a file, if it is there and may be removed."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _checksum(values: npt.NDArray[Any]) -> str:
    """Stand for the bytes, and for what they mean."""
    meaning = zlib.crc32(f"{values.dtype.str} {values.shape}".encode())
    content = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return f"{zlib.crc32(content.data, meaning):08x}"
