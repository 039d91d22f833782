"""What every candidate hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frostline.core.actions import Action
from frostline.strategy.context import Context


@dataclass(frozen=True)
class Proposal:
    """One option.

    ``probe`` names the leave-one-out probe that already scores it ("all" or a tap), or is None
    when only training can tell. ``seconds`` is the nominal cost of carrying it out.
    """

    name: str
    strategy: str
    action: Action
    probe: str | None
    seconds: float


Propose = Callable[[Context], Proposal | None]
