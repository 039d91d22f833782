"""Where an export goes: whole or not at all, and never over something else by accident."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frostline.core.errors import InputError, RunFolderError
from frostline.core.files import abandoned, replacing, temporary_beside
from frostline.model_format.model_folder import CARD
from frostline.run.run_folder import OURS

_ANOTHER = "Give another place with -o."
#: what stood at the target before, inside of the folder that is on its way there
_OLD = "old"
# of fcntl.h and stdio.h: names are relative to the working folder; two names change places
_HERE, _EXCHANGE = -100, 2


def check_free(path: Path, *, overwrite: bool, source: Path) -> None:
    """Refuse a target that exists already, or that would destroy what it is made from.

    Raises InputError if it exists (without ``overwrite``), or is a file of the run.
    """
    target, origin = path.absolute().resolve(), source.absolute().resolve()
    if target == origin or target in origin.parents:
        raise InputError(f"{path} is where {source} itself lies.", hint=_ANOTHER)
    if any(origin / name in (target, *target.parents) for name in OURS) or (
        (origin / CARD).is_file() and target.parent == origin
    ):
        raise InputError(f"{path} belongs to the run {source}.", hint=_ANOTHER)
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already.", hint=f"{_ANOTHER[:-1]}, or add --overwrite.")


@contextmanager
def placing_file(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends well.

    Raises InputError if ``path`` is a folder; RunFolderError if it cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; this export is one file.", hint=_ANOTHER)
    with replacing(path) as temporary:
        yield temporary


@contextmanager
def placing_folder(path: Path, *, ours: str) -> Iterator[Path]:
    """Give a temporary folder that becomes ``path`` when the block ends well.

    Raises InputError if ``path`` is a file, or a folder of something else; RunFolderError if it
    cannot be written.

    ``path``: what was there is removed, if it is empty or has a file called ``ours``.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; this export is a folder.", hint=_ANOTHER)
    if path.is_dir() and any(path.iterdir()) and not (path / ours).is_file():
        raise InputError(f"{path} holds something else than an export.", hint=_ANOTHER)
    _give_back(path)
    with temporary_beside(path) as work:
        old, new = work / _OLD, work / "new"
        try:
            new.mkdir(parents=True)
            yield new
            for file in new.iterdir():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
            _put(new, path, old)
        except OSError as error:
            if old.exists() and not path.exists():
                old.rename(path)
            raise _unwritable(path, error) from error


def _put(new: Path, path: Path, old: Path) -> None:
    """Let a new folder take the place of an old one, in one step where the system can do that."""
    if path.exists():
        if _exchanged(new, path):
            return
        path.rename(old)
    new.rename(path)


def _exchanged(one: Path, other: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return int(rename(_HERE, names[0], _HERE, names[1], _EXCHANGE)) == 0


def _give_back(path: Path) -> None:
    """Put an earlier export back that a killed process had just moved out of the way."""
    for work in abandoned(path.parent, path.name):
        if (work / _OLD).is_dir() and not path.exists():
            with contextlib.suppress(OSError):
                (work / _OLD).rename(path)


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"{path} cannot be written: {error.strerror or error}.", hint=_ANOTHER)
