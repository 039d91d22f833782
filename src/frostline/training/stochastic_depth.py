"""Leave whole residual branches out while layers train (stochastic depth, Huang et al. 2016).

Networks of timm have a place for it in every block, which holds nothing unless they were built for
it. What is left out there is left out by a hook, so the network stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from timm.layers.drop import drop_path
from torch import nn

from frostline.backbones.freeze.eval_mode import original_class

#: how the place is called in a block: drop_path, drop_path1, drop_path2
_PLACE = "drop_path"


@contextmanager
def stochastic_depth(network: nn.Module, rate: float) -> Iterator[list[float]]:
    """Leave branches out inside, of each image with a probability of its own; give the rates.

    Only blocks that train are touched, and only while they are in train mode.

    ``network``: all of it, since rates rise evenly from 0 in the first block. ``rate``: in [0, 1),
    that of the last block; 0 changes nothing.
    """
    blocks = [layer for layer in network.modules() if _places(layer)] if rate else []
    rates: list[float] = []
    with ExitStack() as stack:
        for number, block in enumerate(blocks):
            if not any(parameter.requires_grad for parameter in block.parameters()):
                continue
            share = rate * number / max(1, len(blocks) - 1)
            rates.append(share)
            for place in _places(block):
                handle = place.register_forward_hook(_dropping(share))
                stack.callback(handle.remove)
        yield rates


def _places(block: nn.Module) -> list[nn.Module]:
    """Return where a block may leave its branches out, as far as nothing does so yet."""
    return [
        child
        for name, child in block.named_children()
        if name.startswith(_PLACE) and original_class(child) is nn.Identity
    ]


def _dropping(share: float) -> Callable[[nn.Module, object, torch.Tensor], torch.Tensor]:
    def drop(place: nn.Module, _: object, branch: torch.Tensor) -> torch.Tensor:
        kept: torch.Tensor = drop_path(branch, share, place.training)
        return kept

    return drop
