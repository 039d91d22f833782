"""Where an export goes: whole or not at all, and never over something else by accident."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frostline.artifact.model_folder import CARD
from frostline.artifact.run_folder import OURS
from frostline.errors import InputError, RunFolderError
from frostline.files import replacing

_ANOTHER = "Give another place with -o."


def check_free(path: Path, *, overwrite: bool, source: Path) -> None:
    """Refuse a target that exists already, or that would destroy what it is made from.

    Raises
    ------
    InputError
        If it exists (without ``overwrite``), or is a file of the run.
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

    Raises
    ------
    InputError
        If ``path`` is a folder.
    RunFolderError
        If it cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; this export is one file.", hint=_ANOTHER)
    with replacing(path) as temporary:
        yield temporary


@contextmanager
def placing_folder(path: Path, *, ours: str) -> Iterator[Path]:
    """Give a temporary folder that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        What was there is removed, if it is empty or has a file called ``ours``.

    Raises
    ------
    InputError
        If ``path`` is a file, or a folder of something else.
    RunFolderError
        If it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; this export is a folder.", hint=_ANOTHER)
    if path.is_dir() and any(path.iterdir()) and not (path / ours).is_file():
        raise InputError(f"{path} holds something else than an export.", hint=_ANOTHER)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        new = work / "new"
        new.mkdir()
        yield new
        for file in new.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        if path.exists():
            path.rename(work / "old")
        new.rename(path)
    except OSError as error:
        if (work / "old").exists() and not path.exists():
            (work / "old").rename(path)
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"{path} cannot be written: {error.strerror or error}.", hint=_ANOTHER)
