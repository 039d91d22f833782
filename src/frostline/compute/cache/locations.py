"""The cache folder: where it is, and how files enter it whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import partial
from pathlib import Path

from frostline.core.errors import SettingsError, StoreError
from frostline.core.files import ONNX_BYTES, UnfitFileError, read_regular, replacing

#: no folder can be made below a file
_NOWHERE = Path(os.devnull) / "frostline"
_CHECKSUM_BYTES = 32


def cache_root() -> Path:
    """Return the folder that holds everything Frostline keeps between runs.

    ``FROSTLINE_CACHE``, else ``XDG_CACHE_HOME/frostline``, else ``~/.cache/frostline``. It need
    not exist yet.
    """
    own = os.environ.get("FROSTLINE_CACHE")
    if own:
        return _absolute(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    # the XDG specification says that relative paths are to be ignored
    if shared and Path(shared).is_absolute():
        return Path(shared) / "frostline"
    try:
        return Path.home() / ".cache" / "frostline"
    except RuntimeError:
        # a user without a home, as in containers: what is made cannot be kept, and that is said
        return _NOWHERE


def _absolute(own: str) -> Path:
    try:
        return Path(own).expanduser().absolute()
    except RuntimeError:
        raise SettingsError(
            f"FROSTLINE_CACHE={own!r} names the home of a user that does not exist.",
            hint="Give an absolute path.",
        ) from None
    except FileNotFoundError:
        raise SettingsError(
            f"FROSTLINE_CACHE={own!r} is relative, and the current folder does not exist.",
            hint="Give an absolute path.",
        ) from None


def engines_folder() -> Path:
    """Return the folder of exported networks."""
    return cache_root() / "engines"


def arrays_folder(key: str) -> Path:
    """Return the folder of what was computed for every image under ``key``."""
    return cache_root() / "images" / key


def fits_folder() -> Path:
    """Return the folder of results: fits to frozen features, exports, pictures."""
    return cache_root() / "fits"


def activations_folder() -> Path:
    """Return the folder of stored activations, which live as long as the run that made them."""
    return cache_root() / "activations"


def key_of(*parts: str) -> str:
    """Return 32 hex digits that stand for ``parts``."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is either complete or not there, whatever kills the process.

    Raises
    ------
    StoreError
        If the folder cannot be written or the disk is full.
    """
    failure = partial(StoreError, hint="Free some space, or set FROSTLINE_CACHE to another folder.")
    with replacing(path, failure=failure) as temporary:
        temporary.write_bytes(content)


def write_checked(path: Path, content: bytes) -> None:
    """Write a file with a checksum behind its content; takes and raises what write_whole does."""
    write_whole(path, content + hashlib.sha256(content).digest())


def read_checked(path: Path) -> bytes | None:
    """Read what :func:`write_checked` wrote; None if it is not there, and removed if damaged."""
    try:
        whole = read_regular(path, at_most=ONNX_BYTES)
    except UnfitFileError:
        return None
    content = checked(whole)
    if content is None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return content


def checked(whole: bytes) -> bytes | None:
    """Return the content of a file that :func:`write_checked` wrote; None if it is damaged."""
    content, checksum = whole[:-_CHECKSUM_BYTES], whole[-_CHECKSUM_BYTES:]
    return content if hashlib.sha256(content).digest() == checksum else None
