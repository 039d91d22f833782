"""Fit the head first, then fine-tune everything gently: the textbook's case 2 (LP-FT)."""

from __future__ import annotations

from frostline.plan import FullTraining
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

#: similar data needs small steps (Li et al., arXiv 2002.11770)
_RATE = {"similar": 2e-4, "moderate": 3e-4, "different": 3e-4, "unknown": 3e-4}
_MOST_EPOCHS = {"small": 20, "medium": 15, "large": 10}


#: pull towards the pretrained weights on similar images
_ANCHOR = 0.1

#: the second rate that is tried: what is learned gently is forgotten less
_GENTLY = 0.3


def propose(context: Context) -> Proposal | None:
    """Probe-initialised head; all layers train, lower ones at lower rates."""
    return _propose(context, "fine-tune the whole network", 1.0)


def propose_gently(context: Context) -> Proposal | None:
    """The same at lower rates; None when a rate was asked for."""
    if context.settings.learning_rate != "auto":
        return None
    return _propose(context, "fine-tune the whole network gently", _GENTLY)


def _propose(context: Context, name: str, factor: float) -> Proposal:
    summary = context.summary
    work = context.work(freeze_to=None, keep_to=None, most_epochs=_MOST_EPOCHS[summary.size.label])
    recipe = context.recipe(
        work,
        learning_rate=_RATE[summary.shift.label] * factor,
        head_learning_rate=1e-4 * factor,
        layer_decay=0.75,
    )
    similar = summary.shift.label == "similar"
    # staying near the source helps where the source is near (Li et al., arXiv 2002.11770)
    kept = {"anchor": _ANCHOR if similar else 0.0, "interpolate": True}
    action = FullTraining(head_init="probe", recipe=recipe.model_copy(update=kept))
    return Proposal(name, "finetune", action, None, work.seconds)
