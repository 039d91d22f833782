"""A new head on the last layer: the textbook's case 1."""

from __future__ import annotations

from frostline.core.actions import TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context


def propose(context: Context) -> Proposal | None:
    """Ridge on the pooled last feature map."""
    tap = context.summary.last_tap
    action = TapsHead(taps=[tap], class_weights=context.class_weights)
    return Proposal("head on the last layer", "head", action, probe=tap, seconds=0.0)
