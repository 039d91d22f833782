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
#: where nn.MultiheadAttention keeps the projections to queries, keys and values
_IN_PROJECTION = "in_proj_weight"
#: how libraries call one linear layer for all three
_FUSED = "qkv"


class LowRankUpdate(nn.Module):
    """Adds ``alpha / rank * up @ down`` to a weight, seen as a matrix of one row an output.

    A weight that holds several projections on top of each other, as those to queries, keys and
    values, gets an update of that rank for each, as separate layers would.

    ``up`` starts at zero, so the first step equals the pretrained layer bit for bit. The adapted
    weight is put together before the layer runs: whatever the layer does with its weight, merging
    the two afterwards changes no bit.

    ``weight``, shape (out, in, ...): what is adapted; it is looked at, not kept. ``rank``: at most
    the rank that each projection can have. ``projections``: how many the weight holds; divides out.
    """

    def __init__(
        self, weight: torch.Tensor, *, rank: int, alpha: float, projections: int = 1
    ) -> None:
        super().__init__()
        rows, columns = weight.shape[0] // projections, weight[0].numel()
        rank = min(rank, rows, columns)
        self.scale = alpha / rank
        # drawn on the CPU, so that every device starts from the same numbers
        several = () if projections == 1 else (projections,)
        down = torch.empty(*several, rank, columns)
        for part in down if several else [down]:
            nn.init.kaiming_uniform_(part, a=math.sqrt(5))
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(*several, rows, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The adapted weight, of the weight's shape."""
        # half precision would round the update before it is added
        with torch.autocast(weight.device.type, enabled=False):
            update = (self.up @ self.down).reshape(weight.shape)
            return weight + self.scale * update


def adaptable_layers(module: nn.Module) -> list[str]:
    """Names of the layers that adapters can sit on, in order.

    These are linear layers and convolutions whose weight is their own, and the layers of attention
    that hold three projections in one tensor. A depthwise convolution has one small filter a
    channel, which no low rank describes, so it is left out.
    """
    owners = Counter(
        id(parameter) for layer in module.modules() for parameter in layer.parameters(recurse=False)
    )
    return [
        name
        for name, layer in module.named_modules()
        if (tensor := _adapted_tensor(layer)) is not None
        and owners[id(layer._parameters.get(tensor))] == 1
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
        tensor = _adapted_tensor(layer) or _WEIGHT
        weight = layer.get_parameter(tensor)
        update = LowRankUpdate(
            weight,
            rank=adapters.rank,
            alpha=adapters.alpha,
            projections=_projections(name, tensor, len(weight)),
        )
        parametrize.register_parametrization(layer, tensor, update)


def merge_adapters(module: nn.Module) -> None:
    """Put every update into its weight and take the adapters off; names are as before them."""
    for layer in list(module.modules()):
        for tensor in (_WEIGHT, _IN_PROJECTION):
            if not _has_adapter(layer, tensor):
                continue
            parametrize.remove_parametrizations(layer, tensor, leave_parametrized=True)
            # the weight comes back behind the others: keep the layer's own order
            for other in [name for name in layer._parameters if name != tensor]:
                layer._parameters[other] = layer._parameters.pop(other)


def _adapted_tensor(layer: nn.Module) -> str | None:
    """Name the tensor that an adapter of this layer sits on; None where it takes none."""
    if isinstance(layer, nn.MultiheadAttention):
        # None where queries, keys and values have widths, and so tensors, of their own
        return _IN_PROJECTION if layer.in_proj_weight is not None else None
    if isinstance(layer, nn.Conv2d):
        return _WEIGHT if layer.groups == 1 or layer.groups < layer.in_channels else None
    return _WEIGHT if isinstance(layer, nn.Linear) else None


def _projections(name: str, tensor: str, rows: int) -> int:
    """How many projections of one input lie on top of each other in a weight."""
    fused = tensor == _IN_PROJECTION or name.rpartition(".")[2] == _FUSED
    return 3 if fused and rows % 3 == 0 else 1


def _has_adapter(layer: nn.Module, tensor: str) -> bool:
    return parametrize.is_parametrized(layer, tensor) and isinstance(
        layer.parametrizations[tensor][0],  # type: ignore[index]
        LowRankUpdate,
    )
