"""A module that gives what reaches every BatchNorm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.layer_names import is_shortcut
from frostline.backbones.network import Network
from frostline.compute.engines.frozen_part import FrozenPart, part_key
from frostline.compute.moments import FloatArray64, SourceNorm


class MomentsBody(nn.Module):
    """Runs a network and gives the moments at its BatchNorm inputs, side by side.

    ``names``: BatchNorm layers by depth. ``width``: number of columns: for every layer its C means,
    then its C mean squares.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.graph = network.feature_module
        candidates = {
            name: layer
            for name, layer in self.graph.named_modules()
            if isinstance(layer, nn.BatchNorm2d | nn.SyncBatchNorm)
            and layer.running_mean is not None
            and not is_shortcut(name)
        }
        size = network.preprocessing.size
        reached: dict[str, None] = {}
        with (
            eval_mode(self.graph),
            torch.inference_mode(),
            _watching(candidates, lambda name, _: reached.setdefault(name)),
        ):
            self.graph(torch.zeros(1, 3, size, size))
        self.names = tuple(reached)
        self.width = 2 * sum(int(norm.num_features) for norm in self._norms().values())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Moments of shape (n, width) for normalised images (n, 3, size, size)."""
        found: dict[str, torch.Tensor] = {}

        def keep(name: str, value: torch.Tensor) -> None:
            moments = (value.mean(dim=(2, 3)), value.square().mean(dim=(2, 3)))
            # a layer that is used twice counts where it is met first
            found.setdefault(name, torch.cat(moments, dim=1))

        with _watching(self._norms(), keep):
            self.graph(x)
        return torch.cat([found[name] for name in self.names], dim=1)

    def source_norms(self) -> list[SourceNorm]:
        """Return the layers with their statistics of pretraining."""
        return [
            SourceNorm(
                name=name,
                mean=_float64(norm.running_mean),
                var=_float64(norm.running_var),
                eps=float(norm.eps),
            )
            for name, norm in self._norms().items()
        ]

    def _norms(self) -> dict[str, Any]:
        # looked up by name, so that a copy of this module watches its own layers
        return {name: self.graph.get_submodule(name) for name in self.names}


def moments_part(network: Network, body: MomentsBody) -> FrozenPart:
    """Return the part that gives the moments of every image."""
    return FrozenPart(body, network.preprocessing, part_key(network, "moments", body.names))


@contextmanager
def _watching(
    layers: Mapping[str, Any], see: Callable[[str, torch.Tensor], object]
) -> Iterator[None]:
    """Call ``see(name, input)`` whenever one of the layers is about to run."""

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            see(name, inputs[0])

        return before

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _float64(values: torch.Tensor) -> FloatArray64:
    return values.detach().cpu().numpy().astype(np.float64)
