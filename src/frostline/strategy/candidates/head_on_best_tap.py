"""A new head on the layer whose features separate the classes best; all above it goes."""

from __future__ import annotations

from frostline.core.actions import TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context


def propose(context: Context) -> Proposal | None:
    """Ridge on the pooled best tap; None when that is the last one."""
    tap = context.summary.best_tap
    if tap == context.summary.last_tap:
        return None
    action = TapsHead(taps=[tap], class_weights=context.class_weights)
    return Proposal("head on the best layer", "head", action, probe=tap, seconds=0.0)
