"""Files that are either whole or not there, their fingerprints, and reading with a limit."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from frostline.core.errors import FrostlineError, RunFolderError
from frostline.core.machine import lives

#: a file that is not whole yet, the process that writes it, and a word that no other file has;
#: Frostline 0.1 left out one or the other
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?:(?P<owner>\d+)(?:-[0-9a-f]{8})?|[0-9a-f]{32})\.tmp")
#: the names of those that this process writes
_WRITING: set[str] = set()
#: seconds after which nobody writes to a file any more
LEFTOVER_AGE = 24 * 3600.0
#: how libraries written in Rust quote an error of the system
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
#: JSON that Frostline writes stays far below: a million classes with names of ordinary length
JSON_BYTES = 32 * 2**20
#: protocol buffers end here, and so does every ONNX file without further files
ONNX_BYTES = 2**31
#: weights of the largest networks for images take half of it
WEIGHTS_BYTES = 64 * 2**30
#: where JSON keeps the checksum of its other values
CHECKSUM = "checksum"
#: bytes in which every format of images says how deep its pixels are
HEAD_BYTES = 64
_BLOCK = 2**20


class UnfitFileError(Exception):
    """A file that cannot be read, or must not be; a few words, free of paths."""


class MissingFileError(UnfitFileError):
    """A file that is not there."""


def is_file(path: Path) -> bool:
    """Whether there is a regular file; a name that no file can have names none."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def open_regular(path: Path, *, at_most: int) -> IO[bytes]:
    """Open a regular file to read it.

    Pipes and devices, which might wait or go on forever, are refused, also where one takes the
    file's place at the last moment. Raises UnfitFileError.

    ``path``: links are followed. ``at_most``: bytes; larger files are refused before anything is
    read.
    """
    try:
        _check(path.stat(), at_most)
        stream = io.BufferedReader(io.FileIO(path, opener=_without_waiting))
    except FileNotFoundError as error:
        raise MissingFileError(os_reason(error)) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise UnfitFileError(os_reason(error)) from None
    try:
        _check(os.fstat(stream.fileno()), at_most)
    except UnfitFileError:
        stream.close()
        raise
    return stream


def read_regular(path: Path, *, at_most: int) -> bytes:
    """Read a regular file whole; takes and raises what :func:`open_regular` does."""
    try:
        with open_regular(path, at_most=at_most) as stream:
            content = stream.read(os.fstat(stream.fileno()).st_size + 1)
            # it may grow while it is read, and some files of the system tell no size
            while len(content) <= at_most and (more := stream.read(_BLOCK)):
                content += more
    except OSError as error:
        raise UnfitFileError(os_reason(error)) from None
    if len(content) > at_most:
        raise UnfitFileError(_too_large(len(content), at_most))
    return content


class Digest(NamedTuple):
    """The SHA-256 of a file as 64 hex digits, its number of bytes, and the first of them."""

    hexdigest: str
    size: int
    head: bytes


def digest_regular(path: Path, *, at_most: int) -> Digest:
    """Return the SHA-256 of a regular file, its size, and its first bytes.

    Takes and raises what :func:`open_regular` does.
    """
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with open_regular(path, at_most=at_most) as stream:
            while block := stream.read(_BLOCK):
                head = head or block[:HEAD_BYTES]
                size += len(block)
                # some files of the system have no size and no end
                if size > at_most:
                    raise UnfitFileError(_too_large(size, at_most))
                digest.update(block)
    except OSError as error:
        raise UnfitFileError(os_reason(error)) from None
    return Digest(digest.hexdigest(), size, head)


def peek_json(content: bytes) -> dict[str, Any]:
    """Return what a JSON file states, unchecked; nothing where it is damaged.

    For messages about files of another version alone.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def checksum(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values but for their own ``checksum``; their order is all one."""
    rest = {key: value for key, value in values.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def checksum_matches(values: Mapping[str, Any]) -> bool:
    """Whether JSON values are those that their ``checksum`` was taken of; none binds nothing."""
    return not values.get(CHECKSUM) or values[CHECKSUM] == checksum(values)


def os_reason(error: OSError | ValueError) -> str:
    """Return a short reason, free of paths, for a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return "file not found"
    if isinstance(error, PermissionError):
        return "permission denied"
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if isinstance(number, int) else "cannot be opened"


def _check(found: os.stat_result, at_most: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise UnfitFileError("a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise UnfitFileError("not a regular file")
    if found.st_size > at_most:
        raise UnfitFileError(_too_large(found.st_size, at_most))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _too_large(size: int, at_most: int) -> str:
    unit, word = (2**30, "GiB") if at_most >= 2**30 else (2**20, "MiB")
    return f"{size / unit:,.1f} {word}, the limit is {at_most / unit:,.3g}"


@contextmanager
def replacing(
    path: Path, *, failure: Callable[[str], FrostlineError] = RunFolderError
) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it takes the place of ``path`` when all went well.

    A process that dies halfway leaves the old file, if any, as it was; what it had written is
    removed by the next one that writes here. Raises RunFolderError if the folder cannot be written,
    or the disk is full.

    ``failure``: makes the error from a message.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
    except OSError as error:
        raise failure(f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` for what will take its place; whatever stays there is removed."""
    temporary = temporary_path(path)
    _WRITING.add(temporary.name)
    try:
        sweep(path.parent, path.name)
        yield temporary
    finally:
        _remove(temporary)
        _WRITING.discard(temporary.name)


def temporary_path(path: Path) -> Path:
    """Return a name that nobody else uses, for what will become ``path``."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def abandoned(folder: Path, name: str | None = None) -> list[Path]:
    """List the unfinished files of a folder that nobody writes any more.

    ``name``: only what was to become this file: whatever a process left that has ended. None for
    all files that were not touched for a day, as processes of other machines cannot be asked for.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [entry for entry in entries if _is_abandoned(entry, name)]


def _is_abandoned(entry: Path, name: str | None) -> bool:
    match = _TEMPORARY.fullmatch(entry.name)
    if match is None or entry.name in _WRITING or name not in (None, match["name"]):
        return False
    if name is not None and match["owner"] is not None:
        # one with the number of this process is of a namesake: in containers all have the same few
        owner = int(match["owner"])
        if owner == os.getpid() or not lives(owner):
            return True
    try:
        return time.time() - entry.lstat().st_mtime > LEFTOVER_AGE
    except OSError:
        return False


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what :func:`abandoned` lists."""
    for entry in abandoned(folder, name):
        _remove(entry)


def _remove(entry: Path) -> None:
    """Remove a file or folder; one that became read-only stays."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        entry.unlink(missing_ok=True)


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


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
