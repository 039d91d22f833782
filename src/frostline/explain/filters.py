"""Draw the filters of a network's first layer: edges, colours, spots."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import nn

from frostline.backbones.graph.ends import input_layers
from frostline.backbones.network import Network
from frostline.core.arrays import FloatArray
from frostline.core.errors import BackboneError
from frostline.explain.drawing import BACKGROUND, UInt8Array, coloured, grid, stretched, with_text

#: side of one drawn filter, in pixels
_TILE = 56
_COLUMNS = 16
_MOST = 256


def draw_filters(network: Network) -> Image.Image:
    """Draw every filter of the first convolution with a line about them.

    Raises BackboneError if the first layer is no convolution.
    """
    name, filters = network_filters(network)
    count, channels, height, width = filters.shape
    said = f"{network.name}: {count} filters of {height} x {width} pixels in {name}"
    if count > _MOST:
        said += f", the first {_MOST}"
    hint = (
        "In colour as they read red, green and blue; each at its own full contrast."
        if channels == 3
        else "Mean over channels, dark to bright; each at its own full contrast."
    )
    return with_text(filter_grid(filters), [said, hint])


def filter_grid(
    filters: FloatArray,
    *,
    most: int = _MOST,
    side: int = _TILE,
    background: tuple[int, int, int] = BACKGROUND,
) -> Image.Image:
    """Draw filters (out, channels, kh, kw) in a grid, each stretched to its own full contrast.

    Filters that read three channels are shown in colour: red where a filter likes red.
    """
    tiles = [
        Image.fromarray(_picture(one)).resize((side, side), Image.Resampling.NEAREST)
        for one in filters[:most]
    ]
    return grid(tiles, _COLUMNS, background=background)


def network_filters(
    network: Network, tensors: Mapping[str, torch.Tensor] | None = None
) -> tuple[str, FloatArray]:
    """Return the path of the first convolution and its filters (out, channels, kh, kw).

    Raises BackboneError if the first layer is no convolution.

    ``tensors``: the weights of a trained copy, by the network's own names.
    """
    names = input_layers(network.module, network.graph)
    layer = network.module.get_submodule(names[0]) if names else None
    if not isinstance(layer, nn.Conv2d):
        raise BackboneError(
            f"The first layer of {network.name} is no convolution, so it has no filters to draw."
        )
    weight = layer.weight if tensors is None else tensors[f"{names[0]}.weight"]
    return names[0], weight.detach().double().numpy()


def _picture(one: FloatArray) -> UInt8Array:
    if len(one) == 3:
        return np.asarray(stretched(one.transpose(1, 2, 0)) * 255, dtype=np.uint8)
    return coloured(stretched(one.mean(axis=0)))
