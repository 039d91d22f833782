"""Find the linear layer that gives the old task's logits, where the network ends in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx, nn

from frostline.backbones.description import imagenet_classes
from frostline.backbones.graph.ends import get_module, output_layers
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.heads.source_classifier import SourceClassifier
from frostline.core.cuts import Cut

_IMAGENET = 1000
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SourceLayer:
    """The old classifier: the path of its layer, and the first pooled column that it reads."""

    path: str
    start: int


def source_layer(
    module: nn.Module, graph: fx.Graph, last: Cut, rest: Callable[[], nn.Module]
) -> SourceLayer | None:
    """Return the layer that is the old classifier, if it is linear in what is pooled at ``last``.

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
        logits = rest().eval()(x)
        for start in range(0, last.pooled_width, last.channels):
            read = pooled(x, last.layout, last.tokens)[:, start : start + last.channels]
            if torch.allclose(logits, layer(read), atol=_TOLERANCE):
                return SourceLayer(names[0], start)
    return None


def source_classifier_of(module: nn.Module, found: SourceLayer) -> SourceClassifier:
    """Return the classifier that a linear layer is."""
    layer = module.get_submodule(found.path)
    weight: torch.Tensor = layer.get_parameter("weight")
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.get_parameter("bias")
    return SourceClassifier(
        weight=weight.detach().double().numpy().T.copy(),
        bias=bias.detach().double().numpy().copy(),
        names=imagenet_classes(),
        start=found.start,
    )
