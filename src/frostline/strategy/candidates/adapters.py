"""Fit the head first, then train low-rank adapters with it (LoRA, Hu et al. 2021)."""

from __future__ import annotations

from frostline.core.actions import Adapters, FullTraining
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

#: name of the option
NAME = "train low-rank adapters"

#: few parameters bear, and need, higher rates than whole layers
_RATE = 1e-2
#: of transformers: LoRA's authors used 1e-4 to 2e-3 for language, guides for pictures 5e-3
_ATTENTION_RATE = 2e-3
_RANK = 16
_MOST_EPOCHS = {"small": 20, "medium": 15, "large": 10}


def propose_for_attention(context: Context) -> Proposal | None:
    """Offer the same for networks whose layers attend; None for others, where it never won."""
    return propose(context) if context.family.attention else None


def propose(context: Context) -> Proposal | None:
    """Every kept weight gets an update of low rank; norm layers learn the new statistics."""
    work = context.work(
        freeze_to=None, keep_to=None, most_epochs=_MOST_EPOCHS[context.summary.size.label]
    )
    rate = _ATTENTION_RATE if context.family.attention else _RATE
    recipe = context.recipe(
        work, learning_rate=rate, head_learning_rate=rate / 3, norm_mode="train"
    )
    action = FullTraining(
        head_init="probe",
        part=Adapters(rank=_RANK, alpha=2.0 * _RANK),
        # the layers stay, so nothing in them has to be kept from learning by heart
        recipe=recipe.model_copy(update={"interpolate": True, "drop_path": 0.0}),
    )
    return Proposal(NAME, "finetune", action, None, work.seconds)
