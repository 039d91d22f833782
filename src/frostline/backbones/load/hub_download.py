"""Bring files of a hub into its own cache: begun downloads go on, and what came is checked."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
)

from frostline.backbones.load.hub import (
    DOWNLOAD_ERRORS,
    HubError,
    HubFile,
    host,
    is_passing,
    reason_of,
    status_of,
)
from frostline.core.cancel import CancelToken
from frostline.core.errors import BackboneError
from frostline.core.machine import lock_alone
from frostline.core.progress import NullProgress, Task, TypedProgress

MB = 10**6
#: seconds between tries while nothing comes; as soon as something does, it begins again
_PAUSES = (1.0, 2.0, 4.0, 8.0)
#: seconds between looks at whether another process has the file
_WAITING = 0.2
_SHA256_DIGITS, _GIT_DIGITS = 64, 40
_BLOCK = 2**20
#: the client keeps what it reads at once in memory, where a line that breaks loses it
_READ_AT_ONCE = 2**16


def in_cache(repository: str, name: str, revision: str) -> Path | None:
    """Return a file of a repository as it lies in the hub's cache; None if it is not there."""
    found = try_to_load_from_cache(
        repository, name, cache_dir=constants.HF_HUB_CACHE, revision=revision
    )
    return Path(found) if isinstance(found, str) and Path(found).is_file() else None


def bytes_here(file: HubFile) -> int:
    """Return how much of a file a download that broke off has left."""
    part = _part(file)
    return part.stat().st_size if part.is_file() else 0


def fetch(
    file: HubFile, *, progress: TypedProgress | None = None, cancel: CancelToken | None = None
) -> Path:
    """Return a file of a hub, from its cache or downloaded into it.

    A download that was interrupted, by whatever and however often, goes on where it broke off, also
    in another process; broken connections and busy servers are tried again as long as something
    comes. What came is compared with the digest that the hub names, and with its size.

    Raises HubError if the server stops to answer; BackboneError if the file is not what the hub
    says, or the disk is full.

    ``progress``: gets a bar in megabytes; None for the bar of the hub's own client.
    """
    known = in_cache(file.repository, file.name, file.commit)
    if known is not None and in_cache(file.repository, file.name, file.revision) == known:
        return known
    cancel = cancel or CancelToken()
    blob = _folder(file) / file.etag
    if not blob.is_file():
        try:
            blob.parent.mkdir(parents=True, exist_ok=True)
            with _part(file).open("ab") as stream, _client(bars=progress is None):
                _alone(stream, cancel)
                # another process may have been quicker
                if not blob.is_file():
                    _download(file, stream, progress or NullProgress(), cancel)
                    _part(file).replace(blob)
        except OSError as error:
            raise _unwritable(error, blob) from error
    try:
        # the client finds the content there, and enters it under its name and revision
        return Path(
            hf_hub_download(
                file.repository,
                file.name,
                revision=file.revision,
                cache_dir=constants.HF_HUB_CACHE,
            )
        )
    except DOWNLOAD_ERRORS as error:
        raise HubError(f"{host()}: {reason_of(error)}") from error


def _folder(file: HubFile) -> Path:
    home = repo_folder_name(repo_id=file.repository, repo_type="model")
    return Path(constants.HF_HUB_CACHE) / home / "blobs"


def _part(file: HubFile) -> Path:
    # by its content, so what is there is the beginning of the same file
    return _folder(file) / f"{file.etag}.part"


def _alone(stream: IO[bytes], cancel: CancelToken) -> None:
    """Wait until no other process downloads the same file."""
    while True:
        try:
            lock_alone(stream.fileno())
        except BlockingIOError:
            cancel.check()
            time.sleep(_WAITING)
        else:
            return


def _download(
    file: HubFile, stream: IO[bytes], progress: TypedProgress, cancel: CancelToken
) -> None:
    """Complete a file that may have begun, and check it.

    A wrong end may be on a wrong beginning, so what went on from one is tried once as a whole.
    """
    begun = stream.seek(0, io.SEEK_END)
    if file.size is not None and begun > file.size:
        begun = stream.truncate(0)
    _check_room(file, begun)
    for whole in (begun == 0, True):
        total = max(1, (file.size or 0) // MB)
        with progress.task(f"downloading {file.repository} (MB)", total) as bar:
            shown = 0

            def tell(size: int, bar: Task = bar) -> None:
                nonlocal shown
                cancel.check()
                if size // MB > shown:
                    bar.advance(size // MB - shown)
                    shown = size // MB

            tell(stream.tell())
            _complete(file, _Watched(stream, tell), cancel)
        stream.flush()
        if _is_genuine(file):
            return
        stream.truncate(0)
        if whole:
            break
    _part(file).unlink(missing_ok=True)
    raise BackboneError(
        f"{file.name} of {file.repository}, as it came from {host()}, is not the file that the hub "
        f"names: it should have the digest {file.etag[:16]}... It was thrown away.",
        hint="Something on the way changed it: a proxy, or a mirror (HF_ENDPOINT). Try again, or "
        "another way.",
    )


def _complete(file: HubFile, stream: _Watched, cancel: CancelToken) -> None:
    pauses = list(_PAUSES)
    while True:
        had = stream.tell()
        try:
            http_get(
                file.url,
                cast(Any, stream),
                resume_size=had,
                headers=build_hf_headers(),
                expected_size=file.size,
            )
        except DOWNLOAD_ERRORS as error:
            if _is_of_disk(error):
                raise
            if stream.tell() > had:
                pauses = list(_PAUSES)
            if file.size is not None and stream.tell() > file.size:
                stream.truncate(0)
            lasting = status_of(error) is not None and not is_passing(error)
            if lasting or not pauses:
                raise HubError(
                    f"{host()} broke off after {stream.tell() / MB:,.1f} MB: {reason_of(error)}",
                    "What came is kept: the same command goes on from there.",
                ) from error
            cancel.check()
            time.sleep(pauses.pop(0))
            cancel.check()
        else:
            return


class _Watched:
    """A file that says how long it is whenever something was written to it."""

    def __init__(self, stream: IO[bytes], tell: Callable[[int], None]) -> None:
        self._stream, self._say = stream, tell

    def write(self, content: bytes) -> int:
        written = self._stream.write(content)
        self._say(self._stream.tell())
        return written

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(place, whence)

    def truncate(self, size: int | None = None) -> int:
        kept = self._stream.truncate(size)
        self._stream.seek(0, io.SEEK_END)
        return kept


@contextmanager
def _client(*, bars: bool) -> Iterator[None]:
    """Let the hub's client write in small parts, warn of nothing, and draw bars if wanted."""
    logger = logging.getLogger("huggingface_hub.file_download")
    level, hide = logger.level, not bars and not are_progress_bars_disabled()
    at_once = constants.DOWNLOAD_CHUNK_SIZE
    logger.setLevel(logging.ERROR)
    constants.DOWNLOAD_CHUNK_SIZE = _READ_AT_ONCE
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        constants.DOWNLOAD_CHUNK_SIZE = at_once
        if hide:
            enable_progress_bars()


def _check_room(file: HubFile, begun: int) -> None:
    """Refuse what the disk cannot take, before it is full."""
    if file.size is None:
        return
    folder = _folder(file)
    free, needed = shutil.disk_usage(folder).free, file.size - begun
    if needed > free:
        raise BackboneError(
            f"{file.name} of {file.repository} takes {needed / MB:,.0f} MB more, but "
            f"{free / MB:,.0f} MB are free in {constants.HF_HUB_CACHE}.",
            hint="Make room, or set HF_HUB_CACHE to a folder on another disk.",
        )


def _is_genuine(file: HubFile) -> bool:
    """Whether what came has the digest that the hub names, where it names one."""
    path = _part(file)
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return False
    if len(file.etag) == _SHA256_DIGITS:
        digest = hashlib.sha256()
    elif len(file.etag) == _GIT_DIGITS:
        # git says first what the content is and how long
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    else:
        return True
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == file.etag.lower()


def _is_of_disk(error: Exception) -> bool:
    lost = (ConnectionError, TimeoutError)
    return isinstance(error, OSError) and error.errno is not None and not isinstance(error, lost)


def _unwritable(error: OSError, path: Path) -> BackboneError:
    return BackboneError(
        f"{path.parent} cannot be written: {error.strerror or error}.",
        hint="Set HF_HUB_CACHE to a folder that can be written and has room.",
    )
