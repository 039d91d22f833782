"""Cutting, freezing and rebuilding networks, for training loops of one's own: needs PyTorch."""

from __future__ import annotations

from frostline.core.cuts import Cut
from frostline.core.extras import needing_extras

with needing_extras("frostline.nn"):
    from frostline.backbones.fingerprints import fingerprint
    from frostline.backbones.freeze.freezing import FreezeReport, freeze, unfreeze
    from frostline.backbones.freeze.param_groups import (
        add_new_groups,
        optimizer_state,
        param_groups,
        restore_optimizer,
    )
    from frostline.backbones.graph.subgraphs import Subgraph
    from frostline.backbones.heads.new_heads import new_head
    from frostline.backbones.load.surgery import adapt_input, replace_classifier
    from frostline.backbones.network import Network, split

__all__ = [
    "Cut",
    "FreezeReport",
    "Network",
    "Subgraph",
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
