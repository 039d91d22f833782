"""Fit the head first, then train the highest layers with it; everything below stays frozen."""

from __future__ import annotations

from frostline.core.actions import SuffixTraining
from frostline.core.cuts import Cut
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

_RATE = 1e-3
_MOST_EPOCHS = {"small": 20, "medium": 15, "large": 10}

#: the highest stage that trains holds at least this share of the work
_LEAST_SHARE = 0.04


def propose_stage(context: Context) -> Proposal | None:
    """Train the last stage; None for networks of one stage."""
    below = [
        c
        for c in context.network.stage_ends
        if c.depth <= context.network.last.depth - _LEAST_SHARE
    ]
    return _above(context, below[-1], "train the top stage") if below else None


def propose_half(context: Context) -> Proposal | None:
    """Train the upper half of the work; None where that is the top stage or everything."""
    middle = context.network.middle
    if middle is None:
        return None
    stage = propose_stage(context)
    if stage is not None and stage.action == _above(context, middle, "").action:
        return None
    return _above(context, middle, "train the top half")


def _above(context: Context, cut: Cut, name: str) -> Proposal:
    work = context.work(
        freeze_to=cut.name, keep_to=None, most_epochs=_MOST_EPOCHS[context.summary.size.label]
    )
    rate = context.rate(_RATE)
    recipe = context.recipe(work, learning_rate=rate, head_learning_rate=rate / 3)
    action = SuffixTraining(freeze_to=cut.name, recipe=recipe)
    return Proposal(name, "finetune", action, None, work.seconds)
