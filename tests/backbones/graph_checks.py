"""What graphs without PyTorch are compared with: PyTorch itself, on crops of real photos."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn

from frostline.backbones.batchnorm_statistics import estimating, with_statistics_of
from frostline.backbones.describe import graph_of
from frostline.backbones.network import Network
from frostline.backbones.run_module import to_input
from frostline.compute.engines.moments_module import MomentsBody
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import FloatArray, Preprocessing, UInt8Array
from frostline.onnx_graph.network_graph import IMAGES, RESULT, NetworkGraph

#: standard deviations of a tap that a graph may differ from PyTorch by
MOST = 1e-4


@cache
def photos() -> list[npt.NDArray[np.uint8]]:
    return list(load_sample_images().images)


def crops(count: int, size: int, seed: int = 0) -> UInt8Array:
    """Return square parts of real photos, at many scales."""
    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        photo = photos()[number % len(photos())]
        side = int(rng.integers(size // 2, min(photo.shape[:2])))
        top, left = (int(rng.integers(0, length - side + 1)) for length in photo.shape[:2])
        part = Image.fromarray(photo[top : top + side, left : left + side])
        found.append(np.asarray(part.resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(found)


def run(model: bytes, images: UInt8Array, outputs: Sequence[str] = (RESULT,)) -> list[FloatArray]:
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    found: list[FloatArray] = open_session(model, threads=1).run(list(outputs), {IMAGES: images})
    return found


def in_torch(module: nn.Module, images: UInt8Array, network: Network) -> Any:
    with torch.inference_mode():
        return module.eval()(to_input(images, network.preprocessing))


def check_equal(found: FloatArray, expected: FloatArray, most: float = MOST) -> None:
    """Compare in standard deviations of the expected values."""
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() <= most * max(float(expected.std()), 1e-9)


def check_taps(
    graph: NetworkGraph, network: Network, taps: Sequence[str], most: float = MOST
) -> None:
    """Compare taps with those of PyTorch, block by block, merged and as the layers are."""
    body = network.body(taps)
    images = crops(5, network.preprocessing.size)
    expected = in_torch(body, images, network).numpy()
    for folded in (True, False):
        model = graph.taps(list(body.slices), network.preprocessing, folded=folded)
        for batch in (images, images[:1]):
            found = run(model, batch)[0]
            assert found.shape == (len(batch), body.width)
            for block in body.slices.values():
                scale = most * expected[:, block].std()
                assert np.abs(found - expected[: len(batch)])[:, block].max() <= scale


def graph_for(network: Network) -> NetworkGraph:
    content = graph_of(network, moments=True)
    return NetworkGraph(content, network.tensors(), network.feature_cuts)


def settled(module: nn.Module, size: int) -> Network:
    """Return a random network whose norm layers know the statistics of photos."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = None
            if layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias)
    preprocessing = Preprocessing(size=size)
    with torch.no_grad():
        module.train()(to_input(crops(16, size, seed=5), preprocessing))
    return Network.load(
        module.eval(), preprocessing=preprocessing, example=torch.rand(2, 3, size, size)
    )


def check_moments(graph: NetworkGraph, network: Network, most: float = MOST) -> None:
    body = MomentsBody(network)
    images = crops(5, network.preprocessing.size)
    found = run(graph.moments(body.names, network.preprocessing), images)[0]
    check_equal(found, in_torch(body, images, network).numpy(), most)
    known = {point.name: point for point in graph.norm_points}
    for name in body.names:
        layer: Any = network.module.get_submodule(name)
        assert known[name].channels == layer.weight.numel()
        assert known[name].eps == pytest.approx(layer.eps)


def estimated(graph: NetworkGraph, network: Network, batches: list[UInt8Array]) -> dict[str, Any]:
    """Mean and variance of every norm layer over some batches."""
    model = graph.batch_statistics(network.preprocessing)
    names = [f"{what}/{norm.name}" for norm in graph.norms for what in ("mean", "var")]
    found = [run(model, batch, names) for batch in batches]
    means = [np.mean([part[i] for part in found], axis=0) for i in range(len(names))]
    return {norm.name: (means[2 * i], means[2 * i + 1]) for i, norm in enumerate(graph.norms)}


def check_statistics(graph: NetworkGraph, network: Network, batches: list[UInt8Array]) -> None:
    """Compare with PyTorch in double precision: in single precision it is itself 1e-3 off."""
    exact = network.copy()
    module = exact.feature_module.double()
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    with estimating(norms), torch.no_grad():
        for batch in batches:
            module(to_input(batch, network.preprocessing).double())
    single = with_statistics_of(network, (to_input(b, network.preprocessing) for b in batches))
    state, rounded = module.state_dict(), single.tensors()
    found = estimated(graph, network, batches)
    layers = [n for n, m in module.named_modules() if m in norms]
    assert set(found) == set(layers)
    for norm in graph.norms:
        mean, var = found[norm.name]
        right, spread = (
            state[f"{norm.name}.{what}"].numpy() for what in ("running_mean", "running_var")
        )
        scale = np.sqrt(spread + norm.eps)
        assert (np.abs(mean - right) / scale).max() < 3e-4
        assert (np.abs(var - spread) / (spread + norm.eps)).max() < 3e-4
        assert (np.abs(mean - rounded[f"{norm.name}.running_mean"]) / scale).max() < 3e-3
        off = np.abs(var - rounded[f"{norm.name}.running_var"]) / (spread + norm.eps)
        assert off.max() < 3e-3


def check_network(name: str, size: int) -> None:
    """Compare all that a graph gives for a network of timm with random weights."""
    torch.manual_seed(0)
    network = settled(timm.create_model(name, pretrained=False), size)
    graph = graph_for(network)
    # of random weights many channels are nearly alike
    check_taps(graph, network, network.taps, 5e-4)
    if graph.norm_points:
        check_moments(graph, network, 1e-3)
    if graph.norms:
        check_statistics(graph, network, [crops(n, size, seed=n) for n in (8, 3)])
