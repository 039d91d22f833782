"""Graphs without PyTorch against PyTorch itself, on crops of real photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from frostline.backbones.describe import graph_of
from frostline.backbones.described import DescribedNetwork, described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.heads.classifiers import TapsClassifier
from frostline.backbones.network import Network
from frostline.backbones.run_module import to_input
from frostline.core.errors import EngineError
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import Preprocessing
from frostline.onnx_graph.network_graph import NetworkGraph
from tests.backbones.graph_checks import (
    check_equal,
    check_moments,
    check_network,
    check_statistics,
    check_taps,
    crops,
    estimated,
    graph_for,
    in_torch,
    run,
    settled,
)

# --- bundled networks ------------------------------------------------------------------------

Pair = tuple[Network, DescribedNetwork]


@pytest.fixture(scope="module")
def pair() -> Pair:
    torch.set_num_threads(1)
    return Network.load("efficientnet_lite0"), described("efficientnet_lite0")


def of(known: FrozenNetwork) -> NetworkGraph:
    graph = known.graph_without_weights()
    assert graph is not None
    return graph


def test_taps_of_bundled_networks(pair: Pair) -> None:
    network, known = pair
    check_taps(of(known), network, network.taps)


def test_some_taps_alone_and_in_any_order(pair: Pair) -> None:
    network, known = pair
    graph, preprocessing = of(known), known.preprocessing
    images = crops(3, preprocessing.size)
    whole = run(graph.taps(network.taps, preprocessing), images)[0]
    columns = network.body(network.taps).slices
    for some in (network.taps[:1], network.taps[4:6], network.taps[::-2], (known.last.name,)):
        found = run(graph.taps(some, preprocessing), images)[0]
        np.testing.assert_allclose(
            found, np.hstack([whole[:, columns[name]] for name in some]), rtol=1e-4, atol=1e-5
        )
    deepest = onnx.load_model_from_string(graph.taps([known.last.name], preprocessing))
    shallow = onnx.load_model_from_string(graph.taps([network.taps[0]], preprocessing))
    assert len(shallow.graph.node) < len(deepest.graph.node) / 4
    assert len(shallow.SerializeToString()) < 10_000, "weights that nobody needs are left out"


def test_maps_of_bundled_networks(pair: Pair) -> None:
    network, known = pair
    names = [cut.name for cut in known.feature_cuts]
    images = crops(2, known.preprocessing.size)
    model = of(known).maps(names, known.preprocessing)
    for name, found in zip(names, run(model, images, names), strict=True):
        check_equal(found, in_torch(network.prefix(name), images, network).numpy())


def test_what_reaches_norm_layers_of_bundled_networks(pair: Pair) -> None:
    network, known = pair
    check_moments(of(known), network)


def test_statistics_of_other_images_in_bundled_networks(pair: Pair) -> None:
    network, known = pair
    size = known.preprocessing.size
    batches = [crops(count, size, seed=count) for count in (3, 2)]
    check_statistics(of(known), network, batches)


def test_a_network_with_other_statistics_gives_its_own_taps(pair: Pair) -> None:
    network, known = pair
    batches = [crops(4, known.preprocessing.size, seed=seed) for seed in (1, 2)]
    statistics = estimated(of(known), network, batches)
    changed = known.with_statistics(statistics, len(batches))
    before, after = of(known), of(changed)
    in_pytorch = network.with_tensors(changed.tensors())
    # channels that hardly vary in a few images are made loud, and their rounding with them
    check_taps(after, in_pytorch, network.taps, 1e-3)
    images = crops(2, known.preprocessing.size)
    one, two = (run(g.taps(known.taps, known.preprocessing), images)[0] for g in (before, after))
    assert np.abs(one - two).max() > 0.1


def test_a_head_gives_what_the_classifier_of_pytorch_gives(pair: Pair) -> None:
    network, known = pair
    taps = [network.taps[2], network.taps[-1]]
    torch.manual_seed(1)
    classifier = TapsClassifier(network, taps, n_outputs=5)
    weight, bias = (p.detach().numpy() for p in classifier.head.parameters())
    model = of(known).head(taps, weight, bias, outputs=("logits", "features"), source="pixels")
    onnx.checker.check_model(model, full_check=True)
    values = to_input(crops(3, known.preprocessing.size), known.preprocessing)
    session = open_session(model.SerializeToString(), threads=1)
    assert [value.name for value in session.get_outputs()] == ["logits", "features"]
    logits, features = session.run(["logits", "features"], {"pixels": values.numpy()})
    with torch.inference_mode():
        check_equal(features, classifier.body.eval()(values).numpy())
        check_equal(logits, classifier.eval()(values).numpy(), 3e-4)


# --- networks of every layout ----------------------------------------------------------------

QUICK = {"test_vit": 160, "test_convnext": 64, "test_mambaout": 64, "test_efficientnet": 64}
LONG = {
    "test_byobnet": 64,
    "test_coatnet": 160,
    "test_resnet": 64,
    "test_nfnet": 64,
    "test_vit_relpos": 160,
    "levit_128s": 224,
}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *QUICK.items(),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in LONG.items()),
    ],
)
def test_networks_of_every_layout(name: str, size: int) -> None:
    check_network(name, size)


def test_what_onnx_cannot_say_is_an_error() -> None:
    network = Network.load(
        timm.create_model("test_vit4", pretrained=False).eval(),
        preprocessing=Preprocessing(size=160),
    )
    with pytest.raises(EngineError, match="cannot be written as ONNX"):
        graph_of(network)


# --- norm layers in odd places ---------------------------------------------------------------


def conv(wide: int, out: int, side: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(wide, out, side, padding=side // 2, **options)


class Own(nn.Module):
    """Layers a, b, c (3 to 8 to 8 to 8 channels), norms p and q, and how they are put together."""

    def __init__(self, way: Callable[[Own, torch.Tensor], torch.Tensor], **options: Any) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(3, 8, **options), conv(8, 8), conv(8, 8)
        self.p, self.q, self.top = nn.BatchNorm2d(8), nn.BatchNorm2d(8, eps=0.1), nn.ReLU()
        self.image, self.fc, self.way = nn.BatchNorm2d(3), nn.Linear(8, 5), way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.top(self.way(self, x))
        result: torch.Tensor = self.fc(maps.mean((2, 3)))
        return result


WAYS: dict[str, tuple[Callable[[Own, torch.Tensor], torch.Tensor], int]] = {
    "each behind a convolution": (lambda m, x: m.q(m.b(m.p(m.a(x)).relu())), 2),
    "a norm layer used twice": (lambda m, x: m.p(m.b(m.p(m.a(x)).relu())), 2),
    "a convolution used twice": (lambda m, x: m.q(m.b(m.p(m.b(m.a(x))))), 2),
    "a convolution read twice": (lambda m, x: (y := m.a(x)) + m.p(y), 1),
    "a norm layer read twice": (lambda m, x: m.b(y := m.p(m.a(x))) + y, 1),
    "the image first": (lambda m, x: m.p(m.a(m.image(x))), 1),
    "behind another layer": (lambda m, x: m.p(m.a(x).relu()), 0),
    "behind a sum": (lambda m, x: m.q(m.b(y := m.a(x)) + y), 1),
    "two in a row": (lambda m, x: m.q(m.p(m.a(x))), 2),
    "one convolution, two norms": (lambda m, x: m.p(y := m.a(x)) + m.q(y), 2),
    "two convolutions, one norm": (lambda m, x: m.p(m.a(x)) + m.p(m.b(m.a(x))), 2),
    "a convolution alone": (lambda m, x: m.a(x), 0),
    "a weight of two convolutions": (
        lambda m, x: m.q(functional.conv2d(m.p(m.b(m.a(x))), m.b.weight, padding=1)),
        2,
    ),
    "a weight that is worked out": (
        lambda m, x: m.p(functional.conv2d(x, m.a.weight * 2, m.a.bias, padding=1)),
        0,
    ),
}


def counted(model: bytes, kind: str) -> int:
    nodes = onnx.load_model_from_string(model).graph.node
    return sum(node.op_type == kind for node in nodes)


@pytest.mark.parametrize("name", list(WAYS))
def test_norm_layers_are_merged_rightly_or_not_at_all(name: str) -> None:
    way, merged = WAYS[name]
    torch.manual_seed(0)
    network = settled(Own(way), 16)
    graph = graph_for(network)
    last = [network.last.name]
    check_taps(graph, network, last)
    before, after = (
        counted(graph.taps(last, network.preprocessing, folded=folded), "BatchNormalization")
        for folded in (False, True)
    )
    assert before - after == merged
    if graph.norms:
        check_moments(graph, network)
        check_statistics(graph, network, [crops(9, 16, seed=1), crops(4, 16, seed=2)])


def test_a_norm_layer_behind_a_tap_stays() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), conv(8, 8), nn.BatchNorm2d(8))
    network = settled(net, 16)
    graph = graph_for(network)
    everywhere = [cut.name for cut in network.feature_cuts]
    check_taps(graph, network, everywhere)
    check_taps(graph, network, everywhere[-1:])
    names = [cut.name for cut in network.feature_cuts]
    images = crops(2, 16)
    for name, found in zip(
        names, run(graph.maps(names, network.preprocessing), images, names), strict=True
    ):
        check_equal(found, in_torch(network.prefix(name), images, network).numpy())


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "grouped": lambda: conv(8, 8, groups=4),
    "depthwise": lambda: conv(8, 16, groups=8, bias=False),
    "strided and dilated": lambda: nn.Conv2d(8, 8, 3, stride=2, dilation=2),
    "transposed": lambda: nn.ConvTranspose2d(8, 8, 2, stride=2),
    "padded by reflection": lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
    "one pixel": lambda: conv(8, 8, 1),
    "without weights": lambda: nn.Sequential(conv(8, 8), nn.BatchNorm2d(8, affine=False)),
    "by instances": lambda: nn.Sequential(conv(8, 8), nn.InstanceNorm2d(8)),
}  # fmt: skip


@pytest.mark.parametrize("name", list(LAYERS))
def test_convolutions_of_every_kind(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]()
    wide = layer(torch.zeros(2, 8, 16, 16)).shape[1]
    net = nn.Sequential(conv(3, 8), nn.ReLU(), layer, nn.BatchNorm2d(wide), nn.ReLU())
    network = settled(net, 16)
    graph = graph_for(network)
    check_taps(graph, network, [network.last.name])
    check_statistics(graph, network, [crops(9, 16, seed=1)])


def test_tensors_that_are_equal_today_stay_two() -> None:
    torch.manual_seed(0)
    first = (conv(3, 8), nn.BatchNorm2d(8), nn.ReLU())
    net = nn.Sequential(*first, conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.ReLU())
    network = settled(net, 16)
    zeros = {f"{layer}.bias": np.zeros(8) for layer in ("1", "4")}
    network = network.with_tensors(zeros)
    content = graph_of(network)
    other = network.with_tensors({"1.bias": np.arange(8.0), "4.bias": -np.arange(8.0)})
    check_taps(NetworkGraph(content, other.tensors(), other.feature_cuts), other, other.taps)
    check_taps(NetworkGraph(content, network.tensors(), network.feature_cuts), network, other.taps)


def test_a_layer_that_goes_by_the_batch_is_an_error() -> None:
    layer = nn.BatchNorm2d(8, track_running_stats=False)
    net = nn.Sequential(conv(3, 8), layer, nn.ReLU(), nn.ReLU())
    network = Network.load(
        net.eval(), preprocessing=Preprocessing(size=16), example=torch.rand(2, 3, 16, 16)
    )
    with pytest.raises(EngineError, match="cannot be written as ONNX"):
        graph_of(network)
