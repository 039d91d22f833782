"""Cutting, freezing and rebuilding networks, for training loops of one's own: needs PyTorch."""

from __future__ import annotations

from frostline.backbone.cuts import Cut
from frostline.backbone.freezing import FreezeReport, freeze, unfreeze
from frostline.backbone.groups import (
    add_new_groups,
    optimizer_state,
    param_groups,
    restore_optimizer,
)
from frostline.backbone.network import Network, split
from frostline.backbone.new_heads import new_head
from frostline.backbone.parts import Part
from frostline.backbone.surgery import adapt_input, replace_classifier
from frostline.backbone.weights import fingerprint

__all__ = [
    "Cut",
    "FreezeReport",
    "Network",
    "Part",
    "adapt_input",
    "add_new_groups",
    "fingerprint",
    "freeze",
    "new_head",
    "optimizer_state",
    "param_groups",
    "replace_classifier",
    "restore_optimizer",
    "split",
    "unfreeze",
]
