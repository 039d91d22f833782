"""Remove the high layers, new layers on the low ones, train the top: the textbook's case 3."""

from __future__ import annotations

from frostline.core.actions import FullTraining, SuffixTraining
from frostline.core.cuts import Cut
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context

_RATE, _HEAD_RATE = 2e-3, 7e-4
#: lower layers are more general, and move less
_DECAY = 0.75
_MOST_EPOCHS = {"small": 30, "medium": 20, "large": 10}


def propose(context: Context) -> Proposal | None:
    """Cut at the asked or best layer; only the top kept stage trains, unless all shall."""
    network, settings = context.network, context.settings
    keep = choose_cut(context)
    below = [c for c in network.cuts if c.stage_end and c.position < keep.position]
    freeze_to = None if settings.train_all or not below else below[-1].name
    work = context.work(
        freeze_to=freeze_to, keep_to=keep.name, most_epochs=_MOST_EPOCHS[context.summary.size.label]
    )
    recipe = context.recipe(
        work,
        learning_rate=context.rate(_RATE),
        head_learning_rate=context.rate(_HEAD_RATE),
        layer_decay=context.decay(_DECAY) if freeze_to is None else 1.0,
    )
    action: SuffixTraining | FullTraining
    if freeze_to is None:
        action = FullTraining(keep_to=keep.name, recipe=recipe)
    else:
        action = SuffixTraining(keep_to=keep.name, freeze_to=freeze_to, recipe=recipe)
    return Proposal(f"cut after {keep.name} and train", "cut", action, None, work.seconds)


def choose_cut(context: Context) -> Cut:
    """Return the cut that was asked for, or the best tap below the last one."""
    network, summary = context.network, context.summary
    if context.settings.cut is not None:
        return network.cut(context.settings.cut)
    below = network.cut(summary.best_below) if summary.best_below else None
    if below is not None and _keeps_a_block(context, below):
        return below
    inner = [
        probe
        for probe in summary.probes
        if probe.tap != summary.last_tap and _keeps_a_block(context, network.cut(probe.tap))
    ]
    if not inner:
        return network.last
    # among equals the deeper one: it keeps more of what pretraining gave
    best = max(reversed(inner), key=lambda probe: probe.accuracy)
    return network.cut(best.tap)


def _keeps_a_block(context: Context, cut: Cut) -> bool:
    """Whether more is kept than the layers that turn an image into tokens."""
    if context.family.patch is None:
        return True
    return cut.macs_before > context.network.cuts[0].macs_before
