"""Low-rank adapters (LoRA, Hu et al. 2021): small updates beside weights that stay frozen."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import nn
from torch.nn.utils import parametrize

from frostline.core.actions import Adapters
from frostline.core.errors import PlanError
from frostline.core.rng import keyed_number

_WEIGHT = "weight"


class LowRankUpdate(nn.Module):
    """Adds ``alpha / rank * up @ down`` to a weight, seen as a matrix of one row an output.

    ``up`` starts at zero, so the first step equals the pretrained layer bit for bit. The adapted
    weight is put together before the layer runs: whatever the layer does with its weight, merging
    the two afterwards changes no bit.

    ``weight``, shape (out, in, ...): what is adapted; it is looked at, not kept. ``rank``: at most
    the rank that the weight can have.
    """

    def __init__(self, weight: torch.Tensor, *, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(rank, rows, columns)
        self.scale = alpha / rank
        # drawn on the CPU, so that every device starts from the same numbers
        down = nn.init.kaiming_uniform_(torch.empty(rank, columns), a=math.sqrt(5))
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(rows, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The adapted weight, of the weight's shape."""
        # half precision would round the update before it is added
        with torch.autocast(weight.device.type, enabled=False):
            update = (self.up @ self.down).reshape(weight.shape)
            return weight + self.scale * update


def adaptable_layers(module: nn.Module) -> list[str]:
    """Names of the layers that adapters can sit on, in order.

    These are linear layers and convolutions whose weight is their own. A depthwise convolution
    has one small filter a channel, which no low rank describes, so it is left out.
    """
    owners = Counter(
        id(parameter) for layer in module.modules() for parameter in layer.parameters(recurse=False)
    )
    return [
        name
        for name, layer in module.named_modules()
        if _takes_adapters(layer) and owners[id(layer._parameters.get(_WEIGHT))] == 1
    ]


def add_adapters(module: nn.Module, adapters: Adapters, *, seed: int) -> None:
    """Freeze every parameter of ``module``, and put an adapter on each layer that takes one.

    Raises PlanError if no layer takes one.
    """
    names = adaptable_layers(module)
    if not names:
        raise PlanError(
            "The plan trains low-rank adapters, but no kept layer is a linear layer or a "
            "convolution that takes one.",
            hint="Set part to all or norms.",
        )
    module.requires_grad_(False)
    torch.manual_seed(keyed_number("adapters", seed))
    for name in names:
        layer = module.get_submodule(name)
        update = LowRankUpdate(
            layer.get_parameter(_WEIGHT), rank=adapters.rank, alpha=adapters.alpha
        )
        parametrize.register_parametrization(layer, _WEIGHT, update)


def merge_adapters(module: nn.Module) -> None:
    """Put every update into its weight and take the adapters off; names are as before them."""
    for layer in list(module.modules()):
        if not _has_adapter(layer):
            continue
        parametrize.remove_parametrizations(layer, _WEIGHT, leave_parametrized=True)
        # the weight comes back behind the bias: keep the layer's own order
        for other in [name for name in layer._parameters if name != _WEIGHT]:
            layer._parameters[other] = layer._parameters.pop(other)


def _takes_adapters(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 or layer.groups < layer.in_channels
    return isinstance(layer, nn.Linear)


def _has_adapter(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, _WEIGHT) and isinstance(
        layer.parametrizations[_WEIGHT][0],  # type: ignore[index]
        LowRankUpdate,
    )
