"""Which trackers there are, and what a run tells any of them."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.core.errors import RunFolderError, SettingsError, did_you_mean
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular

#: trackers by name, with the package that each needs
TRACKERS = {"tensorboard": "tensorboard", "mlflow": "mlflow"}

_EPOCH = ("train_loss", "val_nll", "val_accuracy", "learning_rate")
_TEST = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece")


@dataclass(frozen=True)
class Numbers:
    """What a run tells a tracker.

    Attributes
    ----------
    folder : Path
        The run folder.
    settings : dict of str to str, int, float, bool or None
        What was asked for, and what was chosen.
    epochs : list of (int, dict of str to float)
        Of the training that was delivered, by epoch; empty for heads in closed form.
    test : dict of str to float
        Scores on images that did not teach the model.
    """

    folder: Path
    settings: dict[str, Any]
    epochs: list[tuple[int, dict[str, float]]]
    test: dict[str, float]


def check_tracker(tracker: str) -> None:
    """Make sure, before any work, that a tracker exists and is installed.

    Raises
    ------
    SettingsError
    """
    if tracker not in TRACKERS:
        raise SettingsError(
            f"There is no tracker {tracker!r}; there are {', '.join(TRACKERS)}.",
            hint=did_you_mean(tracker, TRACKERS),
        )
    if importlib.util.find_spec(TRACKERS[tracker]) is None:
        raise SettingsError(
            f"The package {TRACKERS[tracker]!r} is not installed.",
            hint=f"Run: pip install 'frostline[{tracker}]'",
        )


def log_run(run: str | Path, tracker: str) -> str:
    """Hand the numbers of a finished run to a tracker.

    Parameters
    ----------
    run : str or Path
        Folder of a finished run.
    tracker : {"tensorboard", "mlflow"}
        ``tensorboard`` writes to the folder ``tensorboard`` in the run folder; ``mlflow`` to
        wherever ``MLFLOW_TRACKING_URI`` says, with report, plan and metrics as artifacts.

    Returns
    -------
    str
        Where to look.

    Raises
    ------
    SettingsError
        If there is no such tracker, or its package is not installed.
    RunFolderError
        If the run is not finished.
    """
    check_tracker(tracker)
    module = importlib.import_module(f"frostline.integrations.tracking.to_{tracker}")
    where: str = module.write(numbers_of(Path(run)))
    return where


def numbers_of(folder: Path) -> Numbers:
    """Read what a tracker is told from a run folder.

    Raises
    ------
    RunFolderError
        If it is no finished run.
    """
    try:
        metrics, plan, settings = (
            json.loads(read_regular(folder / name, at_most=JSON_BYTES))
            for name in ("metrics.json", "plan.json", "settings.json")
        )
    except (UnfitFileError, ValueError, RecursionError):
        raise RunFolderError(f"{folder} is no finished run.") from None
    try:
        chosen = {"chosen": plan["chosen"], "chosen_cut": plan["cut"], "case": plan["case"]}
        return Numbers(
            folder=folder,
            settings={**{k: v for k, v in settings.items() if k != "plan"}, **chosen},
            epochs=list(_epochs(metrics["history"])),
            test={name: metrics["test"][name] for name in _TEST if name in metrics["test"]},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"The run {folder} is damaged or of another version ({type(error).__name__}: {error})."
        ) from error


def _epochs(history: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, float]]]:
    for entry in history:
        values = {name: entry[name] for name in _EPOCH if entry.get(name) is not None}
        yield entry["epoch"], values
