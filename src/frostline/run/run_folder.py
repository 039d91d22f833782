"""The run folder: what may be written where, and when a run resumes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from frostline.core.errors import FrostlineError, RunFolderError
from frostline.core.files import (
    JSON_BYTES,
    UnfitFileError,
    read_regular,
    temporary_path,
    write_text,
)
from frostline.core.machine import lock_alone
from frostline.run.leftovers import remove_leftovers, without_leftovers

PLAN, METRICS, PREDICTIONS, AUDIT = "plan.json", "metrics.json", "predictions.csv", "audit.json"
#: which images the model was trained on: never part of the model itself
MANIFEST = "catalog.csv"
#: the probabilities or numbers behind the predictions
NUMBERS = "predictions.safetensors"
REPORT, MODEL, LOG, CHECKPOINTS = "report.html", "model", "log.jsonl", "checkpoints"
#: what a later run needs of the images, where that was asked for
FEATURES = "features"
#: what the report is made of, and what decides the result
REPORT_DATA, SETTINGS = "report.json", "settings.json"
#: what a run keeps to go on with, by a number in its settings; raised when it is read otherwise
RUN_FORMAT, RUN_FORMAT_KEY = 2, "run_format"
#: Everything that a run may write; nothing else is ever removed. In this order: without metrics it
#: is no finished run, without settings nobody knows it for ours.
OURS = (
    *(METRICS, PLAN, PREDICTIONS, NUMBERS, AUDIT, MANIFEST, REPORT, REPORT_DATA),
    *(FEATURES, MODEL, LOG, CHECKPOINTS, SETTINGS),
)


class RunFolder:
    """One run's folder. ``metrics.json`` is written last: with it, the run is finished.

    ``resumed``: whether an unfinished run with the same settings was found here. ``settings``:
    everything that decides the result, as JSON types. ``called``: the path by which its files
    name it, where it will have another place.
    """

    def __init__(self, path: Path, settings: dict[str, Any], *, resumed: bool) -> None:
        self.path = path
        self.called = path
        self.resumed = resumed
        self._settings = settings

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, settings: dict[str, Any], overwrite: bool) -> Iterator[RunFolder]:
        """Make the folder ready for a run with these settings, and keep others out meanwhile.

        Raises RunFolderError if the folder holds a finished run, one with other settings or an
        unfinished one of another version (without ``overwrite``), belongs to something else or to a
        run that is going on, leads elsewhere by a link, or cannot be written.

        What is refused before anything was done leaves nothing: settings and new folders go, and an
        earlier run stays as it was.

        ``settings``: everything that decides the result, as JSON types. ``overwrite``: let
        :meth:`begin` remove what an earlier run left. One that was interrupted goes on if its
        settings are the same.
        """
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} is a file, not a folder.", hint="Give another -o.")
        _refuse_links(path)
        new = [folder for folder in (path, *path.parents) if not folder.exists()]
        if not path.exists():
            _make_writable(path)
        settings = {**settings, RUN_FORMAT_KEY: RUN_FORMAT}
        with _alone(path):
            found = _prepare(path, settings, overwrite=overwrite)
            run = cls(path, settings, resumed=found == "resumed")
            if found != "replaced":
                run.begin()
            try:
                yield run
            except FrostlineError:
                if not _begun(path):
                    _leave_nothing(path, new)
                raise

    def begin(self) -> None:
        """Remove what an earlier run left, unless this one resumes it, and write the settings."""
        if not self.resumed:
            clear(self.path)
        write_text(self.path / SETTINGS, json.dumps(self._settings, indent=2) + "\n")

    @property
    def checkpoints(self) -> Path:
        """Folder of the training state; gone when the run is finished."""
        return self.path / CHECKPOINTS

    @property
    def model(self) -> Path:
        """Folder of the model."""
        return self.path / MODEL

    def write_json(self, name: str, value: Any) -> None:
        """Write JSON atomically."""
        write_text(self.path / name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def log(self, event: str, **details: Any) -> None:
        """Append one line to ``log.jsonl``."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **details})
        path = self.path / LOG
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise RunFolderError(f"{path} cannot be written: {error.strerror or error}.") from error

    def finish(self, metrics: dict[str, Any]) -> None:
        """Write ``metrics.json``, which ends the run, and remove the training state."""
        # the other way round a process that dies in between would have to train again
        self.write_json(METRICS, metrics)
        _forget_training(self.path)


def _prepare(
    path: Path, settings: dict[str, Any], *, overwrite: bool
) -> Literal["new", "resumed", "replaced"]:
    """Refuse what may not be replaced; return what becomes of what is there."""
    earlier = _read_settings(path)
    if earlier is None and without_leftovers(path, OURS):
        raise RunFolderError(
            f"{path} is not empty and holds no Frostline run.",
            hint="Give a new or empty folder with -o.",
        )
    finished = (path / METRICS).exists()
    if earlier is not None and finished:
        _forget_training(path)
        if not overwrite:
            raise RunFolderError(
                f"{path} holds a finished run.",
                hint="Give another folder with -o, or add --overwrite.",
            )
    unfinished = earlier is not None and not finished and _begun(path)
    if earlier is not None and unfinished and not overwrite:
        _refuse_other(path, earlier, settings)
    _make_writable(path)
    remove_leftovers(path, OURS)
    remove_leftovers(path / MODEL)
    if earlier is None:
        return "new"
    return "replaced" if finished or earlier != settings else "resumed"


def _refuse_other(path: Path, earlier: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuse to go on with an unfinished run that was begun otherwise."""
    if earlier.get(RUN_FORMAT_KEY) != RUN_FORMAT:
        raise RunFolderError(
            f"{path} holds an unfinished run of another version of Frostline, "
            "with which this one cannot go on.",
            hint="Finish it with that version, give another -o, or begin anew with --overwrite.",
        )
    if earlier != settings:
        raise RunFolderError(
            f"{path} holds an unfinished run with other settings "
            f"({_difference(earlier, settings)}).",
            hint="Use the same settings to resume it, another -o, or --overwrite.",
        )


def _begun(path: Path) -> bool:
    """Whether anything was done: a source or settings that were refused leave nothing to keep."""
    return any((path / name).exists() for name in OURS if name != SETTINGS)


def _leave_nothing(path: Path, new: Sequence[Path]) -> None:
    """Remove the settings, and the folders that are ``new``, the deepest first, if empty."""
    with contextlib.suppress(OSError):
        (path / SETTINGS).unlink(missing_ok=True)
        for folder in new:
            folder.rmdir()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the folder against other processes; the system lets go when this one ends."""
    if os.name == "nt":
        # folders cannot be opened there
        yield
        return
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        lock_alone(handle)
    except BlockingIOError:
        raise RunFolderError(
            f"Another process is writing a run to {path}.",
            hint="Wait until it has ended, or give another folder with -o.",
        ) from None


def _forget_training(path: Path) -> None:
    shutil.rmtree(path / CHECKPOINTS, ignore_errors=True)


def _refuse_links(path: Path) -> None:
    """Make sure that what is written and removed lies in the folder, whoever made it."""
    link = next((path / name for name in OURS if (path / name).is_symlink()), None)
    if link is not None:
        raise RunFolderError(
            f"{link} is a link; a run writes and removes nothing outside of its folder.",
            hint="Remove the link, or give another folder with -o.",
        )


def _read_settings(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(read_regular(path / SETTINGS, at_most=JSON_BYTES))
    except (UnfitFileError, ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _difference(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    names = [k for k in sorted({*earlier, *now}) if earlier.get(k) != now.get(k)]
    return ", ".join(f"{k}: {earlier.get(k)!r}, now {now.get(k)!r}" for k in names[:3])


def clear(path: Path) -> None:
    """Remove what runs write, and nothing else."""
    for name in OURS:
        target = path / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()


def _make_writable(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = temporary_path(path / SETTINGS)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(
        f"The output folder {path} cannot be written: {error.strerror or error}.",
        hint="Give another folder with -o.",
    )
