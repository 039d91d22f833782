"""Networks whose branches were merged before their weights were written (reparameterised).

MobileOne, RepVGG, FastViT, RepViT and others are often handed round in this form. Its tensors have
names of their own, so the network is brought to the same form before they are loaded.
"""

from __future__ import annotations

import copy
from collections.abc import Collection

import torch
from timm.models import reparameterize_model
from torch import nn

from frostline.backbones.families import can_merge

# what layers raise that have something of that name and do something else by it
_NOT_MERGING = (
    *(TypeError, AttributeError, AssertionError),
    *(RuntimeError, ValueError, LookupError),
)


def merged_form(net: nn.Module) -> nn.Module | None:
    """Return a copy with all branches merged as timm does; None where there is nothing to merge."""
    if not can_merge(net):
        return None
    merged = copy.deepcopy(net)
    try:
        merge_in_place(merged)
    except _NOT_MERGING:
        return None
    return merged if merged.state_dict().keys() != net.state_dict().keys() else None


def merge_in_place(net: nn.Module) -> None:
    """Merge all branches of a network that :func:`merged_form` merged."""
    # some layers merge with their norm layers in eval mode alone
    training = net.training
    net.eval()
    with torch.no_grad():
        reparameterize_model(net, inplace=True)
    net.train(training)


def take_form_of(net: nn.Module, names: Collection[str]) -> None:
    """Merge a network's branches, in place, if tensors of these names are those of that form.

    ``names``: of all its tensors, or of those up to a cut.
    """
    if set(names) <= net.state_dict().keys():
        return
    merged = merged_form(net)
    if merged is not None and set(names) <= merged.state_dict().keys():
        merge_in_place(net)
