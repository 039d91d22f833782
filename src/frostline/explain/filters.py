"""Draw the filters of a network's first layer, and measure whether they have learned anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from PIL import Image

from frostline.backbones.frozen_network import Array, FrozenNetwork
from frostline.core.arrays import FloatArray
from frostline.core.errors import BackboneError
from frostline.explain.drawing import BACKGROUND, UInt8Array, coloured, grid, stretched, with_text
from frostline.explain.gallery import FilterFacts

#: side of one drawn filter, in pixels
_TILE = 56
_COLUMNS = 16
_MOST = 256
#: filters from this side on that lay the image out in patches are drawn by their components
_PATCH = 8
_COMPONENTS = 28
#: standard errors of a correlation: bundled networks are at 7 to 8, random ones below 3
_CHANCE = 5.0


def draw_filters(network: FrozenNetwork) -> Image.Image:
    """Draw every filter of the first convolution with a line about them.

    Raises BackboneError if the first layer is no convolution.
    """
    name, filters = network_filters(network)
    drawn, facts = legible_filters(filters, network.preprocessing.size, most=_MOST)
    first, *more = filter_sentences(facts)
    hint = (
        "In colour as they read red, green and blue; each at its own full contrast."
        if filters.shape[1] == 3
        else "Mean over channels, dark to bright; each at its own full contrast."
    )
    return with_text(filter_grid(drawn), [f"{network.name}, {name}: {first}", *more, hint])


def legible_filters(filters: FloatArray, size: int, *, most: int) -> tuple[FloatArray, FilterFacts]:
    """Return what is drawn of filters (out, channels, kh, kw), and what is known of them.

    Filters that cut the image into large patches are mixtures of waves, hundreds of them and hardly
    legible; their principal components are (Dosovitskiy et al. 2021, An image is worth 16x16 words,
    figure 7).

    ``size``: side of the images, in pixels. ``most``: how many filters are drawn, at most.
    """
    count, _, height, width = filters.shape
    related, learned = _related(filters)
    facts = FilterFacts(
        count=count,
        height=height,
        width=width,
        shown=min(count, most),
        related=related,
        learned=learned,
    )
    if height < _PATCH or size % height:
        return filters[:most], facts
    flat = filters.reshape(count, -1)
    _, strength, components = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    shown = min(_COMPONENTS, len(strength))
    variance = np.square(strength)
    held = float(variance[:shown].sum() / max(float(variance.sum()), 1e-300))
    drawn = components[:shown].reshape(shown, *filters.shape[1:])
    return drawn, replace(facts, shown=shown, held=min(held, 1.0))


def _related(filters: FloatArray) -> tuple[float | None, bool | None]:
    """Correlate weights that lie side by side; tell whether that is beyond chance."""
    across = filters[..., :-1], filters[..., 1:]
    down = filters[..., :-1, :], filters[..., 1:, :]
    one, other = (np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(across, down, strict=True))
    if len(one) < 2 or not (one.std() and other.std()):
        return None, None
    found = float(np.clip(np.corrcoef(one, other)[0, 1], -1, 1))
    return found, bool(abs(found) * np.sqrt(len(one)) > _CHANCE)


def filter_sentences(facts: FilterFacts) -> list[str]:
    """Say what is drawn of some filters, and whether they have learned from images."""
    filters = f"{facts.count:,} filters of {facts.height} x {facts.width} pixels"
    drawn = filters if facts.shown == facts.count else f"{facts.shown:,} of {filters}"
    if facts.held is not None:
        drawn = (
            f"The first {facts.shown} principal components of {filters}, which hold "
            f"{facts.held:.0%} of what these filters differ by"
        )
    if facts.related is None:
        return [f"{drawn}."]
    related = f"(correlation {facts.related:.2f})"
    if facts.learned:
        return [f"{drawn}.", f"Weights side by side are related {related}: learned from images."]
    return [f"{drawn}.", f"Weights side by side are unrelated {related}, as random ones are."]


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
