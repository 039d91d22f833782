"""What the settings want of predictions, for these classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline._version import __version__
from frostline.core.errors import SettingsError
from frostline.core.settings import Settings
from frostline.core.task import Task
from frostline.data.catalog import Catalog
from frostline.data.class_costs import read_class_costs
from frostline.data.problem import Problem
from frostline.stats.metrics import METRICS, ExpectedCost, Metric

#: tasks whose way is whole, from the images to predictions
WHOLE: frozenset[Task] = frozenset({"single"})


def check_task(settings: Settings, catalog: Catalog | None = None) -> None:
    """Refuse what cannot be carried out yet: by the settings, and by a source once it is open.

    Raises SettingsError.
    """
    asked = settings.task if catalog is None else catalog.task
    if asked != "auto" and asked not in WHOLE:
        raise SettingsError(
            f"task={asked!r} is not there yet; Frostline {__version__} fits one label an image.",
            hint="Give a source with one label for every image.",
        )
    if catalog is not None:
        # before anything is computed
        problem_of(catalog, range(len(catalog)), settings).labelled(np.arange(len(catalog)))
        return
    if {"single"} == WHOLE and (settings.target or settings.label_separator):
        name = "target" if settings.target else "label_separator"
        raise SettingsError(
            f"{name} is for several labels and numbers, which Frostline {__version__} does not "
            "fit yet."
        )


def metric_of(settings: Settings, classes: Sequence[str]) -> Metric:
    """Return what is to be made as high as possible.

    Raises SettingsError if costs cannot be read or do not fit the classes.
    """
    if settings.costs is None:
        return METRICS[settings.metric]
    return ExpectedCost(read_class_costs(settings.costs, classes))


def problem_of(catalog: Catalog, groups: npt.ArrayLike, settings: Settings) -> Problem:
    """Return what is to be learned; raises what :func:`metric_of` does."""
    return Problem.of(
        catalog,
        groups=groups,
        weights="none" if settings.class_weight == "auto" else settings.class_weight,
        seed=settings.seed,
        metric=metric_of(settings, catalog.classes),
    )
