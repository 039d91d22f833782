"""Graphs without PyTorch of many networks, against PyTorch itself."""

from __future__ import annotations

import pytest

from frostline.backbones.described import described
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.network import Network
from tests.backbones.graph_checks import (
    check_moments,
    check_network,
    check_statistics,
    check_taps,
    crops,
)

pytestmark = pytest.mark.soak

NETWORKS = {
    "test_efficientnet_evos": 64,
    "test_efficientnet_gn": 64,
    "test_maxvit": 160,
    "xcit_nano_12_p16_224": 224,
    "densenet121": 64,
    "davit_tiny": 64,
    "hrnet_w18_small": 64,
    "test_convnext2": 64,
    "test_convnext3": 64,
    "test_vit2": 160,
    "test_vit3": 160,
    "mobilenetv3_small_050": 64,
    "resnet18": 64,
    "resnext26ts": 64,
    "levit_128s": 224,
}


@pytest.mark.parametrize("name", list(BUNDLED))
def test_bundled_networks(name: str) -> None:
    network, graph = Network.load(name), described(name).graph_without_weights()
    assert graph is not None
    check_taps(graph, network, network.taps)
    check_moments(graph, network)
    check_statistics(graph, network, [crops(n, network.preprocessing.size, seed=n) for n in (6, 5)])


@pytest.mark.parametrize(("name", "size"), list(NETWORKS.items()))
def test_networks_of_every_layout(name: str, size: int) -> None:
    check_network(name, size)
