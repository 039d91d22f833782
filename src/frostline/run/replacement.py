"""Let a new run take the place of another, which stays beside it until the next time."""

from __future__ import annotations

import shutil
from pathlib import Path

from frostline.core.errors import RunFolderError
from frostline.core.files import os_reason
from frostline.run.run_folder import METRICS, SETTINGS

#: what folders beside a run are called: the one that is being made, and the one of before
_NEXT, _PREVIOUS = ".update", ".previous"


def next_folder(run: Path) -> Path:
    """Return where the run is made that will take the place of another."""
    return run.with_name(run.name + _NEXT)


def previous_folder(run: Path) -> Path:
    """Return where a run stays that was replaced."""
    return run.with_name(run.name + _PREVIOUS)


def take_place(run: Path) -> None:
    """Put the finished run beside ``run`` into its place; the one of before stays beside it.

    A process that dies in between leaves both runs whole, and :func:`finish_replacement` goes on.
    Raises RunFolderError if a folder in the way is no run of ours, or cannot be moved.
    """
    _remove_run(previous_folder(run))
    _move(run, previous_folder(run))
    _move(next_folder(run), run)


def finish_replacement(run: Path) -> bool:
    """Go on where a replacement was interrupted between its two steps; say whether there was one.

    Raises RunFolderError as :func:`take_place` does.
    """
    if run.exists() or not _is_finished(next_folder(run)):
        return False
    _move(next_folder(run), run)
    return True


def check_room(run: Path) -> None:
    """Refuse, before any work, a place beside a run that holds something else.

    Raises RunFolderError.
    """
    for folder in (previous_folder(run), next_folder(run)):
        if folder.exists() and not (folder / SETTINGS).is_file():
            raise RunFolderError(
                f"{folder} holds no Frostline run, and is where one would be kept.",
                hint="Move it away, or give another folder with -o.",
            )


def _is_finished(folder: Path) -> bool:
    return (folder / METRICS).is_file() and (folder / SETTINGS).is_file()


def _remove_run(folder: Path) -> None:
    if not folder.exists():
        return
    check_room(folder.with_name(folder.name.removesuffix(_PREVIOUS)))
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be removed: {os_reason(error)}.") from None


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        raise RunFolderError(f"{source} cannot be moved: {os_reason(error)}.") from None
