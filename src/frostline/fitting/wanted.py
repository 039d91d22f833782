"""What the settings want of predictions, for these classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.core.errors import SettingsError
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog
from frostline.data.class_costs import read_class_costs
from frostline.data.problem import Problem
from frostline.stats.level_metrics import LEVEL_METRICS
from frostline.stats.metrics import METRICS, ExpectedCost, Metric


def check_task(settings: Settings, catalog: Catalog) -> None:
    """Refuse settings that do not fit what a source says is to be predicted.

    Raises SettingsError.
    """
    if settings.costs is not None and not catalog.target.exclusive:
        raise SettingsError("Costs of mistakes are for one class an image.")
    if settings.at_most_wrong is not None and catalog.target.link_name == "identity":
        raise SettingsError(
            "A bound on wrong answers is for classes and labels, not for numbers.",
            hint="Leave at_most_wrong out: how far off a number may be is told by its interval.",
        )
    problem_of(catalog, range(len(catalog)), settings).labelled(np.arange(len(catalog)))


def metric_of(settings: Settings, classes: Sequence[str]) -> Metric | None:
    """Return what is to be made as high as possible; None for what the task is judged by.

    Raises SettingsError if costs cannot be read or do not fit the classes.
    """
    if settings.costs is not None:
        return ExpectedCost(read_class_costs(settings.costs, classes))
    if settings.metric in LEVEL_METRICS:
        return LEVEL_METRICS[settings.metric].of(len(classes))
    return METRICS.get(settings.metric)


def problem_of(catalog: Catalog, groups: npt.ArrayLike, settings: Settings) -> Problem:
    """Return what is to be learned; raises what :func:`metric_of` does."""
    return Problem.of(
        catalog,
        groups=groups,
        weights="none" if settings.class_weight == "auto" else settings.class_weight,
        seed=settings.seed,
        metric=metric_of(settings, catalog.classes),
    )
