"""Fit the head first, then fine-tune everything gently: the textbook's case 2 (LP-FT)."""

from __future__ import annotations

from typing import Literal

from frostline.core.actions import FreezeLater, FullTraining
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

_MOST_EPOCHS = {"small": 20, "medium": 15, "large": 10}

#: rate of the deepest layers when nothing else is asked for
_RATE = 3e-4
#: far from the source, layers have to move farther than they do by then
_FIRM_RATE = 3e-3
#: what is learned gently is forgotten less
_GENTLE_RATE = 1e-4
#: lower layers are more general, and move less
_DECAY = 0.75

#: name of the option at the lowest rate
GENTLY = "fine-tune the whole network gently"
#: and at the highest
FIRMLY = "fine-tune the whole network firmly"

#: of the epochs, how many train everything before the lower half of the work is frozen and stored;
#: at the high rate lower layers have not settled by then, and freezing them cost accuracy
_FULL_SHARE = 1 / 4

#: pull towards the pretrained weights on similar images
_ANCHOR = 0.1


def propose(context: Context) -> Proposal:
    """Probe-initialised head; all layers train, lower ones at lower rates."""
    middle = context.network.middle
    later = None if middle is None else FreezeLater(freeze_to=middle.name, full_share=_FULL_SHARE)
    decay = context.decay(_DECAY)
    return _propose(context, "fine-tune the whole network", _RATE, decay=decay, later=later)


def propose_gently(context: Context) -> Proposal | None:
    """The same at lower rates; None when a rate was asked for."""
    if context.settings.learning_rate != "auto":
        return None
    return _propose(context, GENTLY, _GENTLE_RATE, decay=context.decay(_DECAY))


def propose_firmly(context: Context) -> Proposal | None:
    """The same at a high rate for every layer; None when a rate was asked for."""
    if context.settings.learning_rate != "auto":
        return None
    return _propose(context, FIRMLY, _FIRM_RATE, decay=context.decay(1.0), norm_mode="train")


def _propose(
    context: Context,
    name: str,
    rate: float,
    *,
    decay: float,
    norm_mode: Literal["auto", "train"] = "auto",
    later: FreezeLater | None = None,
) -> Proposal:
    summary = context.summary
    rate = context.rate(rate)
    work = context.work(
        freeze_to=None,
        keep_to=None,
        most_epochs=_MOST_EPOCHS[summary.size.label],
        later=later,
    )
    recipe = context.recipe(
        work,
        learning_rate=rate,
        head_learning_rate=rate / 3,
        layer_decay=decay,
        norm_mode=norm_mode,
    )
    similar = summary.shift.label == "similar"
    # staying near the source helps where the source is near (Li et al., arXiv 2002.11770)
    kept = {"anchor": _ANCHOR if similar else 0.0, "interpolate": True}
    recipe = recipe.model_copy(update=kept)
    action = FullTraining(head_init="probe", recipe=recipe, freeze_later=later)
    return Proposal(name, "finetune", action, None, work.seconds)
