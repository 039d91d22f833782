"""What the final fit and every fold of one run share."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.compute.frozen import Frozen
from frostline.core.plan import NetworkResult, Plan, ResizeResult
from frostline.core.settings import Settings
from frostline.data.problem import Problem


@dataclass(frozen=True)
class FitInputs:
    """What the final fit and every fold of one run share.

    ``plan`` is carried out instead of deciding, where the person gave one; ``networks`` and
    ``resizes``, ways of making pictures square, are what was compared, when there was a choice.
    """

    problem: Problem
    frozen: Frozen
    settings: Settings
    plan: Plan | None = None
    networks: tuple[NetworkResult, ...] = ()
    resizes: tuple[ResizeResult, ...] = ()
