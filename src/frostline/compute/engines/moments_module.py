"""A module that gives what reaches norm layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from frostline.backbones.network import Network
from frostline.compute.engines.frozen_part import FrozenPart, part_key


class MomentsBody(nn.Module):
    """Runs a network and gives the moments of what reaches its norm layers, side by side.

    ``names``: the layers by depth. ``width``: number of columns: for every layer its C means, then
    its C mean squares.
    """

    def __init__(self, network: Network, names: Sequence[str] | None = None) -> None:
        super().__init__()
        found = network.norm_inputs()
        wanted = {x.point.name for x in found} if names is None else set(names)
        inputs = [x for x in found if x.point.name in wanted]
        self.graph = network.ends((), inputs)
        self.names = tuple(x.point.name for x in inputs)
        self.width = 2 * sum(x.point.channels for x in inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Moments of shape (n, width) for normalised images (n, 3, size, size)."""
        return torch.cat(self.graph(x), dim=1)


def moments_part(network: Network, body: MomentsBody) -> FrozenPart:
    """Return the part that gives the moments of every image."""
    return FrozenPart(body, network.preprocessing, part_key(network, "moments", body.names))
