"""While layers train, convolutions carry the norm layers behind them that stay in eval mode.

A norm layer with fixed statistics multiplies and shifts every channel. Done on the weights of the
convolution before it, this costs next to nothing; done on the activations it takes a quarter of a
training step on a processor, forwards and backwards. Gradients are the same: those of the weights
and of the norm layer's own scale and shift pass through the product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import fx, nn

from frostline.backbones.freeze.eval_mode import is_locked, original_class
from frostline.backbones.network import Network
from frostline.training.accelerate.depthwise import CONVOLUTIONS

_FORWARD = "forward"


@contextmanager
def folded_norms(network: Network) -> Iterator[int]:
    """Fold inside, and undo it on leaving; gives the number of folded norm layers.

    ``network``: weights, statistics and state dict stay as they are; only what its layers compute
    is arranged otherwise.
    """
    pairs = _pairs(network)
    in_place = []
    for convolution, norm in pairs:
        convolution.__dict__[_FORWARD] = _with_norm(convolution, norm)
        norm.__dict__[_FORWARD] = _what_is_left(norm)
        act = getattr(norm, "act", None)
        if isinstance(act, nn.Hardtanh) and act.inplace:
            # in place it copies its input for the backward pass
            in_place.append(act)
            act.inplace = False
    try:
        yield len(pairs)
    finally:
        for pair in pairs:
            for layer in pair:
                layer.__dict__.pop(_FORWARD, None)
        for act in in_place:
            act.inplace = True


def _pairs(network: Network) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions whose output goes to one held norm layer and nowhere else."""
    found = []
    nodes = [node for node in network.graph.nodes if node.op == "call_module"]
    calls = Counter(str(node.target) for node in nodes)
    for node in nodes:
        after = _only_user(node)
        if after is None or calls[str(node.target)] > 1 or calls[str(after.target)] > 1:
            continue
        convolution = network.module.get_submodule(str(node.target))
        norm = network.module.get_submodule(str(after.target))
        if (
            original_class(convolution) in CONVOLUTIONS
            and isinstance(convolution, nn.Conv2d)
            and isinstance(norm, nn.BatchNorm2d)
            and _is_understood(norm)
        ):
            found.append((convolution, norm))
    return found


def _only_user(node: fx.Node) -> fx.Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].op == "call_module" else None


def _is_understood(norm: nn.BatchNorm2d) -> bool:
    """Whether it is held in eval mode and does nothing but to normalise, drop and activate."""
    plain = original_class(norm) in (nn.BatchNorm2d, BatchNormAct2d)
    return plain and is_locked(norm) and norm.running_mean is not None


def _with_norm(
    convolution: nn.Conv2d, norm: nn.BatchNorm2d
) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        mean, variance = norm.running_mean, norm.running_var
        if mean is None or variance is None:
            raise RuntimeError("the norm layer lost its statistics while it was folded")
        scale = torch.rsqrt(variance + norm.eps)
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -mean if convolution.bias is None else convolution.bias - mean
        bias = shift * scale
        if norm.bias is not None:
            bias = bias + norm.bias
        weight = convolution.weight * scale.view(-1, 1, 1, 1)
        return run(convolution, x, weight, bias)

    run = CONVOLUTIONS[original_class(convolution)]
    return forward


def _what_is_left(norm: nn.BatchNorm2d) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a norm layer does besides normalising."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        for name in ("drop", "act"):
            layer = getattr(norm, name, None)
            if isinstance(layer, nn.Module):
                x = layer(x)
        return x

    return forward
