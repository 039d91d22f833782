"""What there is to predict, and what is reached, in the words of each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frostline.core.task import Task
from frostline.wording.numbers import plural


@dataclass(frozen=True)
class TaskWords:
    """The words of one task.

    - ``outputs``: counts what is predicted: "6 classes".
    - ``each``: what the median of these counts has: "each", "images each".
    - ``reach``: says that frozen features reach a score, in percent, on left-out images.
    - ``score``: names that score, ``short`` where there is room for one word.
    """

    outputs: Callable[[int], str]
    each: str
    reach: Callable[[str], str]
    score: str
    short: str


def _classified(score: str) -> str:
    return f"classify {score} of the images left out"


_CLASSES = TaskWords(
    lambda n: f"in {plural(n, 'class', 'classes')}", "each", _classified, "accuracy", "accuracy"
)

TASKS: dict[Task, TaskWords] = {
    "single": _CLASSES,
    "ordinal": TaskWords(
        lambda n: f"in {plural(n, 'grade')}", "each", _classified, "accuracy", "accuracy"
    ),
    "multilabel": TaskWords(
        lambda n: f"with {plural(n, 'label')}",
        "images each",
        lambda score: f"reach a mean average precision of {score} on images left out",
        "mean average precision",
        "precision",
    ),
    "regression": TaskWords(
        lambda n: f"with {plural(n, 'column')} of numbers",
        "images each",
        lambda score: f"explain {score} of the variance of images left out",
        "share of the variance explained",
        "R2",
    ),
}
