"""Find the linear layer that gives the old task's logits, where the network ends in one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx, nn

from frostline.backbones.description import imagenet_classes
from frostline.backbones.graph.ends import get_module, output_layers
from frostline.backbones.heads.pooling import pooled_mean
from frostline.backbones.heads.source_classifier import SourceClassifier
from frostline.core.cuts import Cut

_IMAGENET = 1000
_TOLERANCE = 1e-3


def source_layer(
    module: nn.Module, graph: fx.Graph, last: Cut, rest: Callable[[], nn.Module]
) -> str | None:
    """Return the path of the layer that is the old classifier, if it is linear in the pooled mean.

    None for other tasks than ImageNet's 1,000 classes, and for networks with layers between pooling
    and classifier. ``rest``: gives the layers behind ``last``.
    """
    names = output_layers(module, graph)
    layer = get_module(module, names[0]) if len(names) == 1 else None
    if not isinstance(layer, nn.Linear):
        return None
    if layer.out_features != _IMAGENET or layer.in_features != last.channels:
        return None
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, *last.shape, generator=generator)
    with torch.no_grad():
        linear = layer(pooled_mean(x, last.layout))
        if not torch.allclose(rest().eval()(x), linear, atol=_TOLERANCE):
            return None
    return names[0]


def source_classifier_of(module: nn.Module, path: str) -> SourceClassifier:
    """Return the classifier that the linear layer at ``path`` is."""
    layer = module.get_submodule(path)
    weight: torch.Tensor = layer.get_parameter("weight")
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.get_parameter("bias")
    return SourceClassifier(
        weight=weight.detach().double().numpy().T.copy(),
        bias=bias.detach().double().numpy().copy(),
        names=imagenet_classes(),
    )
