"""Remove the high layers and put a new block on the best frozen ones: nothing kept trains."""

from __future__ import annotations

from frostline.core.actions import SuffixTraining
from frostline.strategy.candidates.cut_and_train import choose_cut
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

_RATE = 5e-3
#: attention that is not pretrained diverges at the rate of a convolution
_TOKEN_RATE = 1e-3
_MOST_EPOCHS = {"small": 40, "medium": 30, "large": 15}


def propose(context: Context) -> Proposal | None:
    """A new block and head on the best tap; None unless that is a map, or tokens.

    The block is a 1x1 convolution on maps, and attention among tokens.
    """
    cut = choose_cut(context)
    if not cut.is_map or cut.position == context.network.last.position:
        return None
    work = context.work(
        freeze_to=cut.name, keep_to=cut.name, most_epochs=_MOST_EPOCHS[context.summary.size.label]
    )
    rate = _TOKEN_RATE if cut.layout == "NLC" else _RATE
    recipe = context.recipe(work, learning_rate=rate, head_learning_rate=rate)
    action = SuffixTraining(
        keep_to=cut.name, freeze_to=cut.name, new_block=True, head_init="random", recipe=recipe
    )
    return Proposal(f"new layers after {cut.name}", "cut", action, None, work.seconds)
