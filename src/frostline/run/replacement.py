"""Let a new run take the place of another, which stays beside it until the next time."""

from __future__ import annotations

from pathlib import Path

from frostline.core.errors import RunFolderError
from frostline.core.files import os_reason
from frostline.run.leftovers import remove_leftovers, without_leftovers
from frostline.run.run_folder import METRICS, OURS, SETTINGS, clear

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

    What others put into the folder, such as labels that people gave, goes with the place. A process
    that dies in between leaves both runs whole, and :func:`finish_replacement` goes on. Raises
    RunFolderError if a folder in the way is no run of ours, or cannot be moved.
    """
    check_room(run)
    if not _is_finished(next_folder(run)):
        raise RunFolderError(f"{next_folder(run)} holds no finished run.")
    _bring_along(run)
    _remove_run(previous_folder(run))
    _move(run, previous_folder(run))
    _move(next_folder(run), run)
    _bring_along(run)


def finish_replacement(run: Path) -> bool:
    """Go on where a replacement was interrupted between its two steps; say whether there was one.

    Raises RunFolderError as :func:`take_place` does.
    """
    if run.exists() or not _is_finished(next_folder(run)):
        return False
    _move(next_folder(run), run)
    _bring_along(run)
    return True


def check_room(run: Path) -> None:
    """Refuse, before any work, a place beside a run that holds something else.

    Raises RunFolderError.
    """
    for folder in (previous_folder(run), next_folder(run)):
        # one that is empty was being removed
        if folder.exists() and not (folder / SETTINGS).is_file() and any(folder.iterdir()):
            raise RunFolderError(
                f"{folder} holds no Frostline run, and is where one would be kept.",
                hint="Move it away, or give another folder with -o.",
            )


def _is_finished(folder: Path) -> bool:
    return (folder / METRICS).is_file() and (folder / SETTINGS).is_file()


def _bring_along(run: Path) -> None:
    """Move everything that no run wrote from the run of before to the one in its place."""
    before = previous_folder(run)
    if not before.is_dir():
        return
    for path in without_leftovers(before, OURS):
        if path.name not in OURS and not (run / path.name).exists():
            _move(path, run / path.name)


def _remove_run(folder: Path) -> None:
    """Remove what a run wrote, and the folder if nothing else is in it."""
    if not folder.exists():
        return
    try:
        clear(folder)
        remove_leftovers(folder)
        folder.rmdir()
    except OSError as error:
        raise RunFolderError(
            f"{folder} cannot be removed: {os_reason(error)}.",
            hint="It may hold files of others: move them away.",
        ) from None


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        raise RunFolderError(f"{source} cannot be moved: {os_reason(error)}.") from None
