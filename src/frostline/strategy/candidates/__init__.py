"""The options: one small file each, all of the same form.

A candidate is a function ``propose(context) -> Proposal | None``; None says that it makes no
sense for this data. To add one, write its file and name it in ``CLOSED_FORM`` or ``TRAINED``.
"""

from frostline.strategy.candidates import (
    adapters,
    cut_and_train,
    finetune_all,
    from_scratch,
    full_training,
    head_on_adapted_taps,
    head_on_all_taps,
    head_on_best_tap,
    head_on_last_tap,
    head_stacked,
    new_layers,
    norms_and_head,
    top_stage,
)
from frostline.strategy.candidates.proposal import Propose

#: heads in closed form: ties go to the earlier one. An average is seldom far behind what it
#: averages, and often ahead, so choosing one of them needs a reason
CLOSED_FORM: dict[str, Propose] = {
    "stacked head": head_stacked.propose,
    "head on the last layer": head_on_last_tap.propose,
    "head on all taps": head_on_all_taps.propose,
    # removing layers needs a reason: it has to beat the head on all of them
    "head on the best layer": head_on_best_tap.propose,
    "head on adapted taps": head_on_adapted_taps.propose,
}

#: options that train layers by gradient, by the strategy that asks for them
TRAINED: dict[str, Propose] = {
    "finetune": finetune_all.propose,
    "cut": cut_and_train.propose,
    "full": full_training.propose,
}

#: options that race against the best head when the evidence chooses
RACED: tuple[Propose, ...] = (
    top_stage.propose_stage,
    top_stage.propose_half,
    new_layers.propose,
    cut_and_train.propose,
    finetune_all.propose_gently,
    finetune_all.propose,
    finetune_all.propose_firmly,
    adapters.propose_for_attention,
    full_training.propose,
)

#: the few of them that are likely to win, by what they gained over heads in the study: these race
#: where time is short, as many as reach the last rung
PORTFOLIO: tuple[Propose, ...] = (
    adapters.propose_for_attention,
    full_training.propose,
    cut_and_train.propose,
    finetune_all.propose_firmly,
)

#: and after them on many images; on few it made averages worse
PORTFOLIO_OF_MANY: tuple[Propose, ...] = (*PORTFOLIO, finetune_all.propose)

#: options that the study of networks with BatchNorm trains, too, but that won nowhere, so no race
#: spends time on them there
STUDIED: tuple[Propose, ...] = (norms_and_head.propose, adapters.propose)

#: what nobody should choose: it shows what the pretrained weights were worth
REFERENCE: tuple[Propose, ...] = (from_scratch.propose,)

__all__ = [
    "CLOSED_FORM",
    "PORTFOLIO",
    "PORTFOLIO_OF_MANY",
    "RACED",
    "REFERENCE",
    "STUDIED",
    "TRAINED",
]
