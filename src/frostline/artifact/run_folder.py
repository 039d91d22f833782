"""The run folder: what may be written where, and when a run resumes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from frostline.errors import RunFolderError
from frostline.files import JSON_BYTES, UnfitFileError, read_regular, write_text

PLAN, METRICS, PREDICTIONS, AUDIT = "plan.json", "metrics.json", "predictions.csv", "audit.json"
REPORT, MODEL, LOG, CHECKPOINTS = "report.html", "model", "log.jsonl", "checkpoints"
#: what the report is made of, and what decides the result
REPORT_DATA, SETTINGS = "report.json", "settings.json"
#: everything that a run may write; nothing else is ever removed
OURS = (
    *(PLAN, METRICS, PREDICTIONS, AUDIT, REPORT, REPORT_DATA),
    *(MODEL, LOG, CHECKPOINTS, SETTINGS),
)


class RunFolder:
    """One run's folder. ``metrics.json`` is written last: with it, the run is finished.

    Attributes
    ----------
    path : Path
    resumed : bool
        Whether an unfinished run with the same settings was found here.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self.path = path
        self.resumed = resumed

    @classmethod
    def open(cls, path: Path, *, settings: dict[str, Any], overwrite: bool) -> RunFolder:
        """Make the folder ready for a run with these settings.

        Parameters
        ----------
        path : Path
        settings : dict
            Everything that decides the result, as JSON types.
        overwrite : bool
            Remove what an earlier run left.

        Raises
        ------
        RunFolderError
            If the folder holds a finished run or one with other settings (without
            ``overwrite``), belongs to something else, leads elsewhere by a link, or cannot be
            written.
        """
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} is a file, not a folder.", hint="Give another -o.")
        _refuse_links(path)
        earlier = _read_settings(path)
        if overwrite and earlier is not None:
            _clear(path)
            earlier = None
        if earlier is not None:
            if (path / METRICS).exists():
                raise RunFolderError(
                    f"{path} holds a finished run.",
                    hint="Give another folder with -o, or add --overwrite.",
                )
            if earlier != settings:
                raise RunFolderError(
                    f"{path} holds an unfinished run with other settings "
                    f"({_difference(earlier, settings)}).",
                    hint="Use the same settings to resume it, another -o, or --overwrite.",
                )
        elif path.exists() and any(path.iterdir()):
            raise RunFolderError(
                f"{path} is not empty and holds no Frostline run.",
                hint="Give a new or empty folder with -o.",
            )
        _make_writable(path)
        run = cls(path, resumed=earlier is not None)
        write_text(path / SETTINGS, json.dumps(settings, indent=2) + "\n")
        return run

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
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def finish(self, metrics: dict[str, Any]) -> None:
        """Remove the training state and write ``metrics.json``, which ends the run."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self.write_json(METRICS, metrics)


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


def _clear(path: Path) -> None:
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
        handle, probe = tempfile.mkstemp(dir=path)
        os.close(handle)
        Path(probe).unlink()
    except OSError as error:
        raise RunFolderError(
            f"The output folder {path} cannot be written: {error.strerror or error}.",
            hint="Give another folder with -o.",
        ) from None
