"""The cache folder: where it is, and how files enter it whole."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Literal

from frostline.core.errors import SettingsError, StoreError
from frostline.core.files import replacing

#: features of images, networks exported for an engine, results, measured engines
Kind = Literal["images", "engines", "fits", "choices"]

#: no folder can be made below a file
_NOWHERE = Path(os.devnull) / "frostline"


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


def kind_folder(kind: Kind) -> Path:
    """Return the folder of one kind of entry."""
    return cache_root() / kind


def images_folder(key: str) -> Path:
    """Return the folder of what was computed for every image under ``key``."""
    return kind_folder("images") / key


def activations_folder() -> Path:
    """Return the folder of stored activations, which live as long as the run that made them."""
    return cache_root() / "activations"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is either complete or not there, whatever kills the process.

    Raises StoreError if the folder cannot be written or the disk is full.
    """
    failure = partial(StoreError, hint="Free some space, or set FROSTLINE_CACHE to another folder.")
    with replacing(path, failure=failure) as temporary:
        temporary.write_bytes(content)
