"""Throw the pretrained weights away and train everything: what transfer is measured against."""

from __future__ import annotations

from frostline.core.actions import FullTraining
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

_RATE = 3e-3
_MOST_EPOCHS = {"small": 60, "medium": 30, "large": 20}


def propose(context: Context) -> Proposal:
    """Random weights, one rate, every layer trains; more epochs, as it has more to learn."""
    work = context.work(
        freeze_to=None, keep_to=None, most_epochs=_MOST_EPOCHS[context.summary.size.label]
    )
    rate = context.rate(_RATE)
    recipe = context.recipe(work, learning_rate=rate, head_learning_rate=rate, norm_mode="train")
    action = FullTraining(start="random", head_init="random", recipe=recipe)
    return Proposal("train from scratch", "full", action, None, work.seconds)
