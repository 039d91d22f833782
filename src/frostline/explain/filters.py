"""Draw the filters of a network's first layer: edges, colours, spots."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from frostline.backbones.frozen_network import Array, FrozenNetwork
from frostline.core.arrays import FloatArray
from frostline.core.errors import BackboneError
from frostline.explain.drawing import BACKGROUND, UInt8Array, coloured, grid, stretched, with_text

#: side of one drawn filter, in pixels
_TILE = 56
_COLUMNS = 16
_MOST = 256


def draw_filters(network: FrozenNetwork) -> Image.Image:
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
    network: FrozenNetwork, tensors: Mapping[str, Array] | None = None
) -> tuple[str, FloatArray]:
    """Return the path of the first convolution and its filters (out, channels, kh, kw).

    Raises BackboneError if the first layer is no convolution.

    ``tensors``: the weights of a trained copy, by the network's own names.
    """
    name = network.first_filters()
    weights = network.tensors() if tensors is None else tensors
    if name is None or name not in weights:
        raise BackboneError(
            f"The first layer of {network.name} is no convolution, so it has no filters to draw."
        )
    return name.rpartition(".")[0], weights[name].astype(np.float64)


def _picture(one: FloatArray) -> UInt8Array:
    if len(one) == 3:
        return np.asarray(stretched(one.transpose(1, 2, 0)) * 255, dtype=np.uint8)
    return coloured(stretched(one.mean(axis=0)))
