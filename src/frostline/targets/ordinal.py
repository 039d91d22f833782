"""One of several classes that have an order, such as grades."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.task import Task
from frostline.targets.single_label import SingleLabel


@dataclass(frozen=True)
class Ordinal(SingleLabel):
    """Exactly one of several grades; their numbers grow with them.

    ``n_outputs``: number of grades.
    """

    @property
    def task(self) -> Task:
        return "ordinal"
