"""Pictures of filters and responses show what the network computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from frostline.backbones.network import Network
from frostline.core.errors import BackboneError
from frostline.explain.drawing import coloured, stretched
from frostline.explain.filters import (
    draw_filters,
    filter_sentences,
    legible_filters,
    network_filters,
)
from frostline.explain.responses import depths, distinct_channels, draw_responses, responses

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lite0() -> Network:
    return Network.load("efficientnet_lite0")


def photo() -> Image.Image:
    pixels = np.full((300, 240, 3), 230, dtype=np.uint8)
    pixels[80:200, 60:180] = (200, 30, 30)
    return Image.fromarray(pixels)


def test_every_filter_is_drawn_at_full_contrast(lite0: Network) -> None:
    name, filters = network_filters(lite0)
    assert name == "conv_stem"
    assert filters.shape == (32, 3, 3, 3)
    np.testing.assert_array_equal(
        filters.astype(np.float32), lite0.module.state_dict()["conv_stem.weight"].numpy()
    )
    drawn = np.asarray(draw_filters(lite0))
    # the first filter's middle pixel, in the middle of its tile
    top = drawn.shape[0] - 2 * (56 + 4) - 4
    found = drawn[top + 4 + 28, 4 + 28]
    expected = (stretched(filters[0].transpose(1, 2, 0)) * 255).astype(np.uint8)[1, 1]
    np.testing.assert_array_equal(found, expected)


def test_large_patches_are_drawn_by_what_their_filters_have_in_common() -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16] / 16
    waves = np.stack([np.cos(np.pi * (a * x + b * y)) for a in range(2) for b in range(2)])
    colours = random.normal(size=(192, 4, 3))
    filters = np.einsum("nwc,whv->nchv", colours, waves)
    drawn, facts = legible_filters(filters, 224, most=64)
    assert (facts.count, facts.shown, facts.learned) == (192, 28, True)
    assert facts.held is not None and facts.held > 0.999
    # four waves in three colours are twelve pictures; each is a mixture of them
    flat = drawn[:12].reshape(12, -1)
    own = np.einsum("cd,whv->wcdhv", np.eye(3), waves).reshape(12, -1)
    left = flat - flat @ np.linalg.pinv(own) @ own
    assert np.abs(left).max() < 1e-9
    assert "28 principal components of 192 filters of 16 x 16" in filter_sentences(facts)[0]
    _, facts = legible_filters(random.normal(size=(64, 3, 16, 16)), 224, most=64)
    assert facts.learned is False and "as random ones are" in filter_sentences(facts)[-1]
    # eleven pixels do not lay an image out, and small filters are legible
    for side in (11, 7, 4):
        given = random.normal(size=(96, 3, side, side))
        drawn, facts = legible_filters(given, 224, most=64)
        np.testing.assert_array_equal(drawn, given[:64])
        assert (facts.shown, facts.held) == (64, None)


def test_a_network_without_a_convolution_has_no_filters() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 2), nn.ReLU())
    network = Network.load(module, example=torch.randn(2, 3, 4, 4))
    with pytest.raises(BackboneError, match="no convolution"):
        draw_filters(network)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "test_vit", "swin_tiny"])
def test_responses_lie_where_the_picture_is(name: str, lite0: Network) -> None:
    if name == "swin_tiny":
        network = Network.load("swin_tiny_patch4_window7_224", pretrained=False)
    else:
        network = lite0 if name == lite0.name else Network.load(name, pretrained=False)
    cuts = depths(network)
    assert 1 <= len(cuts) <= 6
    assert cuts[-1].name == [tap for tap in network.taps if network.cut(tap).is_map][-1]
    pixels = network.preprocessing.apply(photo())
    maps = responses(network, pixels, cuts)
    for cut, values in zip(cuts, maps, strict=True):
        assert len(values) == cut.channels
        assert values.shape[1] == values.shape[2]
    # the first map tells the square from its ground at the right place
    first = maps[0].reshape(len(maps[0]), -1)
    channel = maps[0][distinct_channels(maps[0], 1)[0]]
    side = channel.shape[0]
    inside = channel[int(side * 0.45) : int(side * 0.55), int(side * 0.45) : int(side * 0.55)]
    if name == lite0.name:
        assert np.ptp(inside) < 0.5 * np.ptp(channel)
    assert np.isfinite(first).all()
    drawn = draw_responses(network, photo())
    assert drawn.width > 8 * 128
    assert drawn.height > len(cuts) * 128
    assert len(np.unique(np.asarray(drawn).reshape(-1, 3), axis=0)) > 100


def test_alike_channels_are_shown_once() -> None:
    ramp = np.linspace(0, 1, 16).reshape(4, 4)
    checks = np.indices((4, 4)).sum(axis=0) % 2
    values = np.stack([ramp * 3, ramp * 2, -ramp, checks * 1.0, np.ones((4, 4))])
    assert distinct_channels(values, 2) == [0, 3]
    assert distinct_channels(np.ones((3, 4, 4)), 2) == [0]


def test_colours_grow_brighter_and_constants_are_middling() -> None:
    scale = coloured(np.linspace(0, 1, 6)[None]).astype(float)[0] @ [0.3, 0.6, 0.1]
    assert (np.diff(scale) > 0).all()
    assert (stretched(np.full((2, 2), 7.0)) == 0.5).all()
