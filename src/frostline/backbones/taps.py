"""Pooled activations at several cuts, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from frostline.backbones.graph.subgraphs import Subgraph
from frostline.backbones.heads.pooling import pooled
from frostline.core.cuts import Cut, tap_columns


class TapsBody(nn.Module):
    """Pooled activations at several cuts, concatenated.

    ``slices``: which columns belong to which tap. ``width``: number of columns. ``layouts``: how
    the map at each cut is laid out, by depth.
    """

    def __init__(self, graph: Subgraph, cuts: Sequence[Cut]) -> None:
        super().__init__()
        self.graph = graph
        self.layouts = tuple(cut.layout for cut in cuts)
        self._tokens = tuple(cut.tokens for cut in cuts)
        self.slices = tap_columns(cuts)
        self.width = sum(cut.pooled_width for cut in cuts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pooled activations of shape (n, width)."""
        maps: Any = self.graph(x)
        return self.pool(maps)

    def pool(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Pooled activations of shape (n, width) from the maps at the cuts, by depth."""
        each = zip(maps, self.layouts, self._tokens, strict=True)
        return torch.cat([pooled(x, layout, tokens) for x, layout, tokens in each], dim=1)
