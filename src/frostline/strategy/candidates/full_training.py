"""A random new head, one rate, every layer trains: the textbook's case 4."""

from __future__ import annotations

from frostline.core.actions import FullTraining
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

_RATE = 1e-3
_MOST_EPOCHS = {"small": 30, "medium": 20, "large": 15}


def propose(context: Context) -> Proposal | None:
    """Nothing frozen; norm layers learn the statistics of the new data."""
    work = context.work(
        freeze_to=None, keep_to=None, most_epochs=_MOST_EPOCHS[context.summary.size.label]
    )
    rate = context.rate(_RATE)
    recipe = context.recipe(work, learning_rate=rate, head_learning_rate=rate, norm_mode="train")
    action = FullTraining(head_init="random", recipe=recipe)
    return Proposal("train the whole network", "full", action, None, work.seconds)
