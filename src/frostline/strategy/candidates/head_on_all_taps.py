"""One head on the features of every depth at once (the idea of Head2Toe, arXiv 2201.03529)."""

from __future__ import annotations

from frostline.core.actions import TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context


def propose(context: Context) -> Proposal | None:
    """Ridge on all pooled taps, each tap scaled to the same weight."""
    action = TapsHead(taps=list(context.network.taps), class_weights=context.class_weights)
    return Proposal("head on all taps", "head", action, probe="all", seconds=0.0)
