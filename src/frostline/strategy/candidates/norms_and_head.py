"""Fit the head first, then train only scale and shift of the norm layers with it."""

from __future__ import annotations

from frostline.core.actions import FullTraining
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

#: few parameters bear, and need, higher rates than whole layers
_RATE = 5e-3
_MOST_EPOCHS = {"small": 20, "medium": 15, "large": 10}


def propose(context: Context) -> Proposal | None:
    """All norm layers adapt; every other weight stays as it is."""
    work = context.work(
        freeze_to=None, keep_to=None, most_epochs=_MOST_EPOCHS[context.summary.size.label]
    )
    recipe = context.recipe(work, learning_rate=_RATE, head_learning_rate=2e-3)
    action = FullTraining(head_init="probe", part="norms", recipe=recipe)
    return Proposal("train the norm layers", "finetune", action, None, work.seconds)
