"""Moments at BatchNorm inputs, against hooks on timm's own network in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from torch import nn

from frostline.backbones.network import Network
from frostline.compute.engines.moments_module import MomentsBody
from frostline.compute.frozen import Frozen
from frostline.compute.frozen_runner import FrozenRunner
from frostline.core.preprocessing import Preprocessing
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.splitting.sampling import chosen_rows

pytestmark = pytest.mark.slow

Run = Callable[..., Frozen]


@pytest.fixture
def store(run: Run, pictures: Catalog) -> Frozen:
    return run(pictures)


def independent_inputs(
    network: Network, pixels: npt.NDArray[np.uint8]
) -> dict[str, npt.NDArray[np.float64]]:
    """Inputs of every BatchNorm, (m, C, positions), from a float64 copy of timm's network."""
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    net.load_state_dict(network.feature_module.state_dict(), strict=False)
    net.double().eval()
    found: dict[str, npt.NDArray[np.float64]] = {}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.BatchNorm2d):

            def keep(_: nn.Module, inputs: Any, name: str = name) -> None:
                found[name] = inputs[0].flatten(2).numpy()

            layer.register_forward_pre_hook(keep)
    mean, std = (np.array(v) for v in (network.preprocessing.mean, network.preprocessing.std))
    values = ((pixels / 255.0 - mean) / std).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        net.forward_features(torch.from_numpy(np.ascontiguousarray(values)))
    return found


def test_moments_are_those_of_the_batchnorm_inputs(
    run: Run, pictures: Catalog, lite0: Network
) -> None:
    store = run(pictures, network=lite0)
    moments = store.runner.moments(np.arange(len(pictures)), Runtime(), limit=6)
    expected = independent_inputs(lite0, store.runner.pixels(moments.rows))
    assert [layer.name for layer in moments.layers] == list(expected)
    state = lite0.feature_module.state_dict()
    for layer in moments.layers:
        values = expected[layer.name]
        mean, square = values.mean(axis=2), (values**2).mean(axis=2)
        scale = np.sqrt(square.mean())
        assert layer.mean.dtype == layer.square.dtype == np.float64
        np.testing.assert_allclose(layer.mean, mean, rtol=1e-4, atol=1e-5 * scale)
        np.testing.assert_allclose(layer.square, square, rtol=1e-4, atol=1e-5 * scale**2)
        source = state[f"{layer.name}.running_mean"].double().numpy()
        np.testing.assert_array_equal(layer.source_mean, source)
        source = state[f"{layer.name}.running_var"].double().numpy()
        np.testing.assert_array_equal(layer.source_var, source)
        assert layer.eps == pytest.approx(1e-3)


def test_the_same_images_are_used_whatever_their_order(store: Frozen, pictures: Catalog) -> None:
    rows = np.arange(len(pictures))
    first = store.runner.moments(rows, Runtime(), limit=5)
    second = store.runner.moments(rows[::-1], Runtime(), limit=5)
    assert first.rows.tolist() == second.rows.tolist()
    used = sorted(pictures.digests)[:5]
    assert [pictures.digests[row] for row in first.rows] == used
    np.testing.assert_array_equal(first.layers[3].square, second.layers[3].square)


def test_only_the_given_rows_are_used_and_copies_once() -> None:
    digests = ["c", "a", "b", "a", "d"]
    assert chosen_rows(digests, np.array([0, 2, 3, 1, 4]), 3).tolist() == [3, 2, 0]
    assert chosen_rows(digests, np.array([0, 4]), 10).tolist() == [0, 4]
    assert chosen_rows(digests, np.array([], dtype=np.int64), 10).tolist() == []


def test_moments_come_from_the_disk_the_second_time_bit_for_bit(
    run: Run, pictures: Catalog, heard: Any, runtime: Runtime
) -> None:
    first = run(pictures).runner.moments(np.arange(12), Runtime(), limit=4)
    heard.totals.clear()
    second = run(pictures).runner.moments(np.arange(12), runtime, limit=6)
    assert list(heard.totals.values()) == [2], "only two more images"
    third = run(pictures).runner.moments(np.arange(12), Runtime(), limit=4)
    for one, two, three in zip(first.layers, second.layers, third.layers, strict=True):
        np.testing.assert_array_equal(one.mean, two.mean[:4])
        np.testing.assert_array_equal(one.square, three.square)


def test_moments_of_another_number_of_threads_are_measured_anew(
    run: Run, pictures: Catalog, heard: Any
) -> None:
    # PyTorch's last digits turn on it, and what a store holds must not show in a result
    store = run(pictures)
    for threads, expected in ((1, [4]), (2, [4]), (1, [])):
        heard.totals.clear()
        runtime = Runtime(threads=threads, progress=heard)
        FrozenRunner(store.network, store.features, store.runner.images).moments(
            np.arange(12), runtime, limit=4
        )
        assert list(heard.totals.values()) == expected


def _network(name: str, size: int = 64, **options: Any) -> Network:
    torch.manual_seed(0)
    net = timm.create_model(name, pretrained=False, **options).eval()
    return Network.load(net, preprocessing=Preprocessing(size=size))


def test_shortcuts_are_left_out() -> None:
    network = _network("resnet18")
    names = MomentsBody(network).names
    assert "bn1" in names
    assert "layer2.0.bn2" in names
    assert not [name for name in names if "downsample" in name]
    present = [name for name, _ in network.feature_module.named_modules() if "downsample" in name]
    assert present


def test_watching_leaves_the_network_as_it_was(lite0: Network) -> None:
    network = lite0.copy()
    body = MomentsBody(network)
    before = {name: value.clone() for name, value in network.feature_module.state_dict().items()}
    network.feature_module.train()
    body.eval()
    with torch.inference_mode():
        body(torch.zeros(2, 3, 224, 224))
    for name, value in network.feature_module.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(layer._forward_pre_hooks for layer in network.feature_module.modules())
