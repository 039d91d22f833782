"""Re-estimate the norm layers' statistics on the new images, then one head on all depths."""

from __future__ import annotations

from frostline.core.actions import TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context


def propose(context: Context) -> Proposal | None:
    """Ridge on all taps of the adapted network; None where adapting was not tried."""
    adapted = context.summary.adapted
    if adapted is None:
        return None
    action = TapsHead(
        taps=list(context.network.taps), class_weights=context.class_weights, statistics="target"
    )
    name = "head on all taps, norm statistics re-estimated"
    return Proposal(name, "head", action, probe=adapted.tap, seconds=0.0)
