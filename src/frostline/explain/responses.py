"""Draw what successive depths of a network respond to in one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.core.arrays import FloatArray
from frostline.core.cuts import Cut
from frostline.core.errors import BackboneError
from frostline.explain.drawing import UInt8Array, coloured, grid, stacked, stretched, with_text
from frostline.explain.sight import OnnxSight, Sight, has_graph
from frostline.explain.tokens import normalised

_TILE = 128
_CHANNELS = 8
_DEPTHS = 6

# share of the response's colour over the grey image below it
_STRENGTH = 0.75

# channels that respond alike teach nothing new: above this correlation only one is shown
_ALIKE = 0.8


def draw_responses(network: FrozenNetwork, image: Image.Image) -> Image.Image:
    """Draw the strongest, most different channels at successive depths, over the image.

    ``image``: RGB, of any size; prepared as the weights want it.
    """
    pixels = network.preprocessing.apply(image.convert("RGB"))
    cuts = depths(network)
    maps = responses(network, pixels, cuts)
    prepared = Image.fromarray(pixels)
    rows = [
        with_text(
            grid([prepared.resize((_TILE, _TILE), Image.Resampling.LANCZOS)], 1),
            [f"What {network.name} sees", "Bright: strong response. One row a depth."],
        )
    ]
    grey = np.asarray(prepared.convert("L").resize((_TILE, _TILE)), dtype=np.float64)
    for cut, values in zip(cuts, maps, strict=True):
        tiles = [_overlay(values[c], grey) for c in distinct_channels(values, _CHANNELS)]
        rows.append(
            with_text(grid(tiles, _CHANNELS), [_words(cut, values, network.preprocessing.size)])
        )
    return stacked(rows)


def depths(network: FrozenNetwork, most: int = _DEPTHS, *, upto: str | None = None) -> list[Cut]:
    """Stage ends with a map, up to a cut, evenly spread, the deepest one always among them."""
    found: list[Cut] = [cut for cut in map(network.cut, network.taps) if cut.grid is not None]
    if upto is not None:
        end = network.cut(upto).position
        found = [cut for cut in found if cut.position <= end]
    while len(found) > most:
        gaps = [found[i + 1].depth - found[i - 1].depth for i in range(1, len(found) - 1)]
        found.pop(1 + gaps.index(min(gaps)))
    return found


def responses(network: FrozenNetwork, pixels: UInt8Array, cuts: list[Cut]) -> list[FloatArray]:
    """Return the activations (channels, h, w) at ``cuts`` for one prepared image."""
    maps = _sight(network, [cut.name for cut in cuts]).maps(pixels[None])
    return [as_maps(maps[cut.name], cut)[0].astype(np.float64) for cut in cuts]


def _sight(network: FrozenNetwork, names: Sequence[str]) -> Sight:
    if has_graph(network, names):
        return OnnxSight(network, names)
    from frostline.backbones.trainable import trainable
    from frostline.explain.torch_sight import TorchSight

    return TorchSight(trainable(network), names)


def distinct_channels(values: FloatArray, count: int) -> list[int]:
    """Channels with the largest contrast over space, leaving out those that look alike."""
    flat = values.reshape(len(values), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    spread = np.sqrt((flat**2).mean(axis=1))
    order = [int(c) for c in np.argsort(-spread, kind="stable") if spread[c] > 0]
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    chosen: list[int] = []
    for channel in order:
        if all(abs(float(unit[channel] @ unit[other])) < _ALIKE for other in chosen):
            chosen.append(channel)
        if len(chosen) == count:
            break
    # a map of few values has few different channels: fill up with the strongest ones
    chosen += [c for c in order if c not in chosen][: count - len(chosen)]
    return chosen or [0]


def as_maps(passing: npt.NDArray[Any], cut: Cut) -> npt.NDArray[Any]:
    """Return what passes at a cut as maps (n, channels, h, w), tokens as they are read.

    Raises BackboneError for tokens whose order in space is unknown.
    """
    if cut.layout == "NHWC":
        return passing.transpose(0, 3, 1, 2)
    if cut.layout == "NLC":
        if cut.grid is None:
            raise BackboneError(f"The places of the tokens at {cut.name} are unknown.")
        rows, columns = cut.grid
        # class tokens and registers come before the patches
        patches, _ = normalised(passing[:, passing.shape[1] - rows * columns :], cut.tokens)
        return patches.reshape(len(passing), rows, columns, -1).transpose(0, 3, 1, 2)
    return passing


def _overlay(channel: FloatArray, grey: FloatArray) -> Image.Image:
    heat = Image.fromarray((stretched(channel) * 255).astype(np.uint8))
    wide = np.asarray(heat.resize((_TILE, _TILE), Image.Resampling.BICUBIC), dtype=np.float64)
    colours = coloured(wide / 255).astype(np.float64)
    mixed = _STRENGTH * colours + (1 - _STRENGTH) * grey[..., None]
    return Image.fromarray(mixed.round().astype(np.uint8))


def _words(cut: Cut, values: FloatArray, pixels: int) -> str:
    field = cut.receptive_field
    sees = "each value sees the whole image"
    if field is not None and field < pixels:
        sees = f"each value sees {field} x {field} pixels"
    channels, height, width = values.shape
    return (
        f"{cut.name} ({cut.depth:.0%} of the work): {channels} channels of {height} x {width}, "
        f"{sees}"
    )
