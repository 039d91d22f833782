"""Depths are drawn from the user's own images: the right channels, images and places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from frostline.backbones.heads.pooling import pooled
from frostline.backbones.network import Network
from frostline.core.cuts import Layout, TokenReading
from frostline.explain.depths import (
    COLUMNS,
    DepthPlan,
    Responses,
    discriminative_channels,
    most_informative,
    plan_depths,
    strengths,
)
from frostline.explain.responses import as_maps, depths

_PATCH, _GAP = 56, 2


def patch_of(drawn: Any, row: int, column: int) -> Any:
    top, left = _GAP + row * (_PATCH + _GAP), _GAP + column * (_PATCH + _GAP)
    return np.asarray(drawn)[top : top + _PATCH, left : left + _PATCH].astype(int)


def test_channels_that_tell_classes_apart_are_chosen_one_for_each_class() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    values = random.normal(size=(60, 8))
    values[:, 1] += 9.0 * (labels == 0)
    values[:, 2] = values[:, 1] * 3 + 1
    values[:, 4] += 8.0 * (labels == 0)
    values[:, 5] += 5.0 * (labels == 1)
    values[:, 6] += 3.0 * (labels == 2)
    values[:, 7] = 4.0
    assert discriminative_channels(values, labels, 3) == [2, 5, 6]
    # then the next best, but never one that says the same again
    assert set(discriminative_channels(values, labels, 4)[:3]) == {2, 5, 6}
    assert discriminative_channels(np.ones((5, 3)), labels[:5]) == [0]


def test_patches_come_from_where_a_channel_responds(lite0: Network) -> None:
    cut = next(c for c in depths(lite0) if c.receptive_field is not None)
    side, n = cut.shape[1], 8
    maps = np.zeros((n, cut.channels, side, side), dtype=np.float32)
    pixels = []
    size = lite0.preprocessing.size
    for i in range(n):
        image = np.zeros((size, size, 3), dtype=np.uint8)
        image[: size // 2, size // 2 :] = (200, 20 * i, 0)
        pixels.append(image)
        # image i responds in its upper right, the more the higher i
        maps[i, 3, side // 4 - 1 : side // 4 + 2, 3 * side // 4 - 1 : 3 * side // 4 + 2] = 1.0 + i
    plan = DepthPlan(cut, True, [3], np.zeros((1, 0), dtype=np.int64))
    seen = Responses(plan)
    seen.add(maps[:5])
    seen.add(maps[5:])
    drawn = seen.draw(pixels, np.zeros(n, dtype=np.int64))
    assert drawn.size == (_GAP + COLUMNS * (_PATCH + _GAP), _GAP + _PATCH + _GAP)
    for column in range(COLUMNS):
        middle = patch_of(drawn, 0, column)[20:36, 20:36]
        np.testing.assert_allclose(
            middle, np.broadcast_to([200, 20 * (7 - column), 0], middle.shape), atol=2
        )


def test_plans_rest_on_stored_features_of_frozen_layers(corners: Any) -> None:
    store = corners.store
    every = set(store.network.feature_module.state_dict())
    plans = plan_depths(store.features, store.network, upto="bn2", frozen=every)
    assert [plan.cut.name for plan in plans] == ["bn1", "blocks.2", "blocks.4", "bn2"]
    assert all(plan.frozen and plan.channels for plan in plans)
    # colours are told by the very first layer: its channels' favourites are of one class
    labels = store.catalog.labels
    favourites = [set(labels[plans[0].rows[i]].tolist()) for i in range(3)]
    assert all(len(one) == 1 for one in favourites[:2])
    first = np.asarray(plans[0].rows[0])
    mean = store.features.tap(["bn1"], np.arange(len(labels)))
    channel = (plans[0].channels or [0])[0]
    strength = mean[:, channel] + mean[:, plans[0].cut.channels + channel]
    assert first[0] == int(strength.argmax())
    seen = most_informative(plans, most=10)
    assert len(seen) == len(set(seen)) == 10
    assert seen[0] == plans[2].rows[0, 0]


def test_trained_layers_are_not_judged_by_outdated_features(corners: Any) -> None:
    network = corners.store.network
    below = set(network.prefix("blocks.2").state_dict())
    plans = plan_depths(
        corners.store.features, corners.store.network, upto="blocks.5", frozen=below
    )
    assert [plan.cut.name for plan in plans] == ["bn1", "blocks.1", "blocks.3", "blocks.5"]
    assert [plan.frozen for plan in plans] == [True, True, False, False]
    assert [plan.channels is None for plan in plans] == [False, False, True, True]
    nothing_frozen = plan_depths(
        corners.store.features, corners.store.network, upto="bn2", frozen=set()
    )
    assert all(plan.channels is None and not plan.frozen for plan in nothing_frozen)
    assert most_informative(nothing_frozen, most=10) == []


@pytest.mark.parametrize("layout", ["NLC", "NHWC"])
def test_tokens_and_channels_last_have_places_too(layout: Layout, lite0: Network) -> None:
    """Three images that respond at one place each, laid out as transformers do."""
    side, channels, size = 14, 6, lite0.preprocessing.size
    maps = np.zeros((3, side, side, channels), dtype=np.float32)
    pixels = []
    for i, (row, column) in enumerate([(2, 11), (11, 2), (7, 7)]):
        maps[i, row - 1 : row + 2, column - 1 : column + 2, 4] = 3.0 - i
        image = np.zeros((size, size, 3), dtype=np.uint8)
        top, left = row * size // side, column * size // side
        image[max(0, top - 40) : top + 40, max(0, left - 40) : left + 40] = (0, 0, 250 - i)
        pixels.append(image)
    shape: tuple[int, ...] = (side, side, channels)
    if layout == "NLC":
        # one class token before the patches
        token = np.full((3, 1, channels), 9.0, dtype=np.float32)
        maps = np.concatenate([token, maps.reshape(3, -1, channels)], axis=1)
        shape = (side * side + 1, channels)
    cut = replace(
        lite0.cut("blocks.2"), layout=layout, shape=shape, channels=channels, receptive_field=32
    )
    if layout == "NLC":
        cut = replace(cut, tokens=TokenReading(("class", "mean", "spread"), 1, 1))
    seen = Responses(DepthPlan(cut, True, [4], np.zeros((1, 0), dtype=np.int64)))
    seen.add(maps)
    drawn = seen.draw(pixels, np.array([0, 1, 1]))
    assert drawn.size == (_GAP + 3 * (_PATCH + _GAP), _GAP + _PATCH + _GAP)
    for column in range(3):
        middle = patch_of(drawn, 0, column)[20:36, 20:36]
        expected = np.broadcast_to([0, 0, 250 - column], middle.shape)
        np.testing.assert_allclose(middle, expected, atol=2)


@pytest.mark.parametrize("norm", [None, "layer", "rms"])
def test_strengths_of_tokens_are_those_of_their_stored_features(
    norm: Literal["layer", "rms"] | None, lite0: Network
) -> None:
    reading = TokenReading(("class", "mean", "spread"), 5, 1, norm, 1e-6, (2, 4))
    cut = replace(lite0.cut("blocks.2"), layout="NLC", shape=(13, 6), channels=6, tokens=reading)
    passing = torch.randn(3, 13, 6) * torch.arange(1, 7)
    taps = pooled(passing, "NLC", reading).numpy()
    maps = as_maps(passing.numpy(), cut)
    assert maps.shape == (3, 6, 2, 4)
    flat = maps.reshape(3, 6, -1)
    expected = flat.mean(axis=2) + flat.std(axis=2)
    np.testing.assert_allclose(strengths(taps, cut), expected, rtol=1e-4, atol=1e-5)
