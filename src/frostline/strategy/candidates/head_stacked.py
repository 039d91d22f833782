"""The heads of every depth and of all together, added up into one by what each leaves out."""

from __future__ import annotations

from frostline.core.actions import TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context


def propose(context: Context) -> Proposal | None:
    """Ridge at every depth, weighed by leave-one-out, and corrected by the second stage."""
    summary = context.summary
    if summary.stacked is None or summary.stacking is None:
        return None
    action = TapsHead(
        taps=list(context.network.taps),
        head="stacked" if len(summary.stacking.shares) > 1 else "ridge",
        class_weights=context.class_weights,
        second_stage=summary.stacking.second_stage,
        kernel=summary.stacking.linear_log_loss is not None,
    )
    return Proposal("stacked head", "head", action, probe=summary.stacked.tap, seconds=0.0)
