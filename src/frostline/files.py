"""Files that are either whole or not there, and their fingerprints."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frostline.errors import RunFolderError

#: a file that is not whole yet, and the process that writes it
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.tmp")
#: how libraries written in Rust quote an error of the system
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it takes the place of ``path`` when all went well.

    A process that dies halfway leaves the old file, if any, as it was; what it had written is
    removed by the next one that writes here.

    Raises
    ------
    RunFolderError
        If the folder cannot be written, or the disk is full.
    """
    temporary = temporary_path(path)
    remove_abandoned(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        # a folder that became read-only keeps it; whatever went wrong before is what counts
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return where this process writes what will become ``path``."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def abandoned(path: Path) -> list[Path]:
    """List what processes that have died were writing to become ``path``."""
    try:
        beside = [entry for entry in path.parent.iterdir() if unfinished_name(entry) == path.name]
    except OSError:
        return []
    # one with the number of this process is of a namesake: in containers all have the same few
    here = os.getpid()
    owners = {entry: int(entry.name.split(".")[-2]) for entry in sorted(beside)}
    return [entry for entry, owner in owners.items() if owner == here or not _lives(owner)]


def remove_abandoned(path: Path) -> None:
    """Remove what :func:`abandoned` lists."""
    for entry in abandoned(path):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                entry.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # of somebody else
        return True
    return True


def unfinished_name(path: Path) -> str | None:
    """Return what a temporary path would have become; None for any other path."""
    match = _TEMPORARY.fullmatch(path.name)
    return None if match is None else match["name"]


@contextmanager
def system_errors() -> Iterator[None]:
    """Raise OSError where a library raises its own exception about a full or read-only disk."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        match = _SYSTEM_ERROR.search(str(error))
        if match is None:
            raise
        raise OSError(int(match[1]), os.strerror(int(match[1]))) from error


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"{path} cannot be written: {error.strerror or error}.")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
