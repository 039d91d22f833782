"""Which trackers there are, and what a run tells any of them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from frostline.core.errors import PlanError, RunFolderError, SettingsError, did_you_mean
from frostline.core.extras import require_extra
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.core.json_record import JsonRecord
from frostline.core.plan import Plan
from frostline.core.run_record import Metrics
from frostline.run.run_folder import METRICS, PLAN, RUN_FORMAT_KEY, SETTINGS

#: trackers by name; each has an extra of the same name
TRACKERS = ("tensorboard", "mlflow")

_SETTINGS = TypeAdapter(dict[str, Any])
#: what stands beside the settings of a run
_NO_SETTINGS = ("plan", RUN_FORMAT_KEY)
_EPOCH = ("train_loss", "val_nll", "val_accuracy", "learning_rate")
_TEST = (
    *("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece"),
    *("mean_average_precision", "micro_f1", "exact_match"),
    *("qwk", "rps", "within_one", "r2", "mae"),
)


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
        Scores on images that the model was not trained on, those that its task has.
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
        If there is no such tracker.
    MissingExtraError
        If it is not installed.
    """
    if tracker not in TRACKERS:
        raise SettingsError(
            f"There is no tracker {tracker!r}; there are {', '.join(TRACKERS)}.",
            hint=did_you_mean(tracker, TRACKERS),
        )
    require_extra(tracker, f"log_to={tracker!r}")


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
        If there is no such tracker.
    MissingExtraError
        If it is not installed.
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
        metrics, settings = (
            read_regular(folder / name, at_most=JSON_BYTES) for name in (METRICS, SETTINGS)
        )
    except UnfitFileError:
        raise RunFolderError(f"{folder} is no finished run.") from None
    try:
        found = Metrics.model_validate_json(metrics)
        asked = _SETTINGS.validate_json(settings)
        plan = Plan.from_file(folder / PLAN)
    except (ValidationError, PlanError) as error:
        first = str(error).splitlines()[0]
        raise RunFolderError(
            f"The run {folder} is damaged or of another version ({first})."
        ) from error
    chosen = {"chosen": plan.chosen, "chosen_cut": plan.cut, "case": plan.case}
    return Numbers(
        folder=folder,
        settings={**{k: v for k, v in asked.items() if k not in _NO_SETTINGS}, **chosen},
        epochs=[(epoch.epoch, _numbers(epoch, _EPOCH)) for epoch in found.history],
        test=_numbers(found.test, _TEST),
    )


def _numbers(found: JsonRecord, names: Sequence[str]) -> dict[str, float]:
    values = {name: getattr(found, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
