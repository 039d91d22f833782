"""What a value sees behind attention within windows: measured, as no kernel says it."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import fx, nn

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.graph.tracer import unchanged
from frostline.backbones.graph.tracing import GraphRunner, Traced
from frostline.core.cuts import Layout


def reached_by_one_pixel(
    net: nn.Module, traced: Traced, example: torch.Tensor, nodes: Collection[fx.Node]
) -> dict[fx.Node, torch.Tensor]:
    """Return which values of an image the pixel in its middle reaches, for some nodes.

    The pixel is made no number, and so is all that it has a part in. Windows have the same size
    everywhere, so a value sees as far as a pixel reaches.
    """
    marked = example.clone()
    marked[..., marked.shape[-2] // 2, marked.shape[-1] // 2] = math.nan
    runner = _Watcher(net, traced, nodes)
    with eval_mode(net), unchanged(net), torch.no_grad():
        runner.run(marked)
    return runner.reached


def field_of(reached: torch.Tensor, layout: Layout, sides: tuple[int, int]) -> int | None:
    """Return the side of the square of pixels that one value sees; None for the whole image.

    ``reached``: of one image, as :func:`reached_by_one_pixel` has it. ``sides``: of the image.
    """
    if layout not in ("NCHW", "NHWC"):
        return None
    places = reached.any(dim=0 if layout == "NCHW" else -1)
    seen = [_extent(places.any(dim=1 - axis)) * sides[axis] / places.shape[axis] for axis in (0, 1)]
    return None if any(a >= b for a, b in zip(seen, sides, strict=True)) else math.ceil(max(seen))


def _extent(line: torch.Tensor) -> int:
    """Return how many values lie from the first to the last that was reached."""
    found = line.nonzero().flatten().tolist()
    return found[-1] - found[0] + 1 if found else 0


class _Watcher(GraphRunner):
    """Notes where results of some nodes are no numbers."""

    def __init__(self, net: nn.Module, traced: Traced, nodes: Collection[fx.Node]) -> None:
        super().__init__(net, traced.graph, traced.constants)
        self.reached: dict[fx.Node, torch.Tensor] = {}
        self._nodes = nodes

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self._nodes and isinstance(result, torch.Tensor):
            self.reached[n] = result[0].isnan()
        return result
