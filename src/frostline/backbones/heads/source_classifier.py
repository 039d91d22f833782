"""The old task's classifier: what the network itself would call an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from timm.data import ImageNetInfo
from torch import nn

from frostline.backbones.graph.ends import get_module, output_layers
from frostline.backbones.heads.pooling import pooled_mean
from frostline.backbones.network import Network
from frostline.core.arrays import FloatArray

_IMAGENET = 1000
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SourceClassifier:
    """Logits of the old classes as a linear function of the mean of the deepest feature map.

    ``weight``: shape (channels, K). ``bias``: shape (K,). ``names``: short names of the old
    classes.
    """

    weight: FloatArray
    bias: FloatArray
    names: tuple[str, ...]

    def probabilities(self, means: npt.ArrayLike) -> FloatArray:
        """Probabilities (n, K) for pooled means (n, channels)."""
        logits = np.asarray(means, dtype=np.float64) @ self.weight + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)


def source_classifier(network: Network) -> SourceClassifier | None:
    """Return the old classifier if it came with the weights and is linear in the pooled mean.

    None for own weights with a new classifier, for other tasks than ImageNet's 1,000 classes, and
    for networks with layers between pooling and classifier.
    """
    names = output_layers(network.module, network.graph)
    layer = get_module(network.module, names[0]) if len(names) == 1 else None
    if not network.knows_source or not isinstance(layer, nn.Linear):
        return None
    if layer.out_features != _IMAGENET or layer.in_features != network.last.channels:
        return None
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, *network.last.shape, generator=generator)
    _, rest = network.split(network.last.name)
    with torch.no_grad():
        linear = layer(pooled_mean(x, network.last.layout))
        if not torch.allclose(rest.eval()(x), linear, atol=_TOLERANCE):
            return None
    bias = torch.zeros(_IMAGENET) if layer.bias is None else layer.bias.detach()
    info = ImageNetInfo("imagenet-1k")
    return SourceClassifier(
        weight=layer.weight.detach().double().numpy().T.copy(),
        bias=bias.double().numpy().copy(),
        names=tuple(info.index_to_description(i).split(",")[0] for i in range(_IMAGENET)),
    )
