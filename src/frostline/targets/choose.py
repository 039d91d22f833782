"""Which target a task is."""

from __future__ import annotations

from collections.abc import Callable

from frostline.core.task import Task
from frostline.targets.multi_label import MultiLabel
from frostline.targets.ordinal import Ordinal
from frostline.targets.protocol import Target
from frostline.targets.regression import Regression
from frostline.targets.single_label import SingleLabel

TARGETS: dict[Task, Callable[[int], Target]] = {
    "single": SingleLabel,
    "multilabel": MultiLabel,
    "ordinal": Ordinal,
    "regression": Regression,
}


def target_of(task: Task, n_outputs: int) -> Target:
    """Return the target of a task, with so many outputs."""
    return TARGETS[task](n_outputs)
