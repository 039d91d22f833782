"""What norm layers of every kind read: which are listed, how deep they lie, and their moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from timm.models.byobnet import RepVggBlock
from timm.models.fastvit import MobileOneBlock
from torch import nn

from frostline.backbones.describe import describe, graph_of
from frostline.backbones.described import DescribedNetwork
from frostline.backbones.network import Network
from frostline.compute.engines.moments_of import norm_inputs, open_moments
from frostline.core.preprocessing import Preprocessing
from frostline.core.runtime import Runtime

SIZE = 64
#: networks, their options, how many layers are listed, and the first and the last of these
NETWORKS: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "vit_tiny_patch16_224": (
        {"img_size": SIZE, "depth": 2, "reg_tokens": 3},
        *(5, "blocks.0.norm1", "norm"),
    ),
    "convnext_atto": ({"depths": (1, 1, 1, 1)}, 8, "stem.1", "stages.3.blocks.0.norm"),
    "swin_tiny_patch4_window7_224": (
        {"img_size": SIZE, "window_size": 2, "depths": (1, 1, 1, 1)},
        *(13, "patch_embed.norm", "norm"),
    ),
    "levit_128s": ({"img_size": SIZE}, 40, "stem.conv1.bn", "stages.2.blocks.3.mlp.ln2.bn"),
}


def loaded(name: str, **options: Any) -> Network:
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False, **options).eval()
    example = torch.rand(2, 3, SIZE, SIZE)
    return Network.load(module, preprocessing=Preprocessing(size=SIZE), example=example)


def pixels(n: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


def hooked(network: Network, names: list[str], images: torch.Tensor) -> dict[str, Any]:
    """What reaches some layers, from hooks on the library's own network."""
    found: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def before(_: nn.Module, inputs: Any) -> None:
            found.setdefault(name, inputs[0].double())

        return before

    handles = [
        network.module.get_submodule(name).register_forward_pre_hook(keep(name)) for name in names
    ]
    with torch.inference_mode():
        network.module(images)
    for handle in handles:
        handle.remove()
    return found


def by_hand(value: torch.Tensor, n: int, channels: int, *, first: bool, prefix: int) -> Any:
    """Means and mean squares of every channel, image by image."""
    if first:
        value = value.reshape(*value.shape[:2], -1).transpose(1, 2)
    value = value.reshape(n, -1, channels)[:, prefix:]
    return torch.cat([value.mean(1), (value**2).mean(1)], dim=1).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_norm_layers_of_every_kind_are_listed_and_measured(name: str) -> None:
    options, count, first, last = NETWORKS[name]
    network = loaded(name, **options)
    found = norm_inputs(network)
    assert len(found.names) == count
    assert found.names[0] == first
    assert found.names[-1].endswith(last)
    depths = [norm.depth for norm in found.norms if norm.depth is not None]
    assert len(depths) == len(found.norms)
    assert depths == sorted(depths)
    assert {int(3 * min(depth, 0.999)) for depth in depths} == {0, 1, 2}
    assert found.stored == (name == "levit_128s")

    images = pixels(3)
    measured = open_moments(network, found, Runtime(threads=1)).run(images)
    given = torch.from_numpy(network.preprocessing.normalise(images))
    reached = hooked(network, found.names, given)
    start = 0
    for norm in found.norms:
        layer = network.module.get_submodule(norm.name)
        kind = type(layer).__name__
        batch = isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
        prefix = 4 if name.startswith("vit") else 0
        expected = by_hand(
            reached[norm.name],
            *(3, norm.channels),
            first=batch or "2d" in kind,
            prefix=prefix,
        )
        block = measured[:, start : start + 2 * norm.channels]
        np.testing.assert_allclose(block, expected, rtol=2e-3, atol=2e-4 * np.abs(expected).max())
        start += 2 * norm.channels
    assert start == measured.shape[1]

    # the same without PyTorch
    known = DescribedNetwork(describe(network), graph_of(network, moments=True), network.tensors())
    assert norm_inputs(known).norms[-1].depth == depths[-1]
    assert norm_inputs(known).names == found.names
    again = open_moments(known, norm_inputs(known), Runtime(threads=1)).run(images)
    scale = np.abs(measured).max(axis=0) + 1e-6
    assert (np.abs(again - measured) / scale).max() < 1e-2
    assert np.abs(again - measured).max() < 1e-4 * np.abs(measured).max()


def branched() -> nn.Sequential:
    torch.manual_seed(0)
    blocks = [
        MobileOneBlock(3, 8, 3, stride=2),
        MobileOneBlock(8, 8, 3, num_conv_branches=2),
        RepVggBlock(8, 8),
        RepVggBlock(8, 8),
    ]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]
    return nn.Sequential(*blocks, *head).eval()


def test_branches_that_share_an_input_count_once() -> None:
    module = branched()
    network = Network.load(
        module, preprocessing=Preprocessing(size=32), example=torch.rand(2, 3, 32, 32)
    )
    norms = [n for n, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) >= 4 + 2 + 3 + 3
    assert [name.partition(".")[0] for name in norm_inputs(network).names] == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_hybrids_are_measured_where_their_statistics_reach() -> None:
    """Statistics of a stem alone say nothing of the layers above: then all layers are compared."""

    class Hybrid(nn.Module):
        def __init__(self, *, late: bool) -> None:
            super().__init__()
            kinds = [nn.BatchNorm2d(8), nn.GroupNorm(2, 8), nn.GroupNorm(2, 8), nn.GroupNorm(2, 8)]
            if late:
                kinds[1], kinds[3] = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
            layers: list[nn.Module] = []
            for i, norm in enumerate(kinds):
                layers += [nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1), norm, nn.ReLU()]
            self.body = nn.Sequential(*layers)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.body(x)
            return found

    def network(*, late: bool) -> Network:
        example = torch.rand(2, 3, SIZE, SIZE)
        module = Hybrid(late=late).eval()
        return Network.load(module, preprocessing=Preprocessing(size=SIZE), example=example)

    above = norm_inputs(network(late=True))
    assert above.names == ["body.1", "body.4", "body.10"]
    assert above.stored
    hybrid = network(late=False)
    stem = norm_inputs(hybrid)
    assert stem.names == ["body.1", "body.4", "body.7", "body.10"]
    assert not stem.stored
    images = pixels(2)
    given = torch.from_numpy(hybrid.preprocessing.normalise(images))
    reached = hooked(hybrid, stem.names, given)
    expected = [by_hand(reached[n], 2, 8, first=True, prefix=0) for n in stem.names]
    measured = open_moments(hybrid, stem, Runtime(threads=1)).run(images)
    np.testing.assert_allclose(measured, np.concatenate(expected, axis=1), rtol=1e-3, atol=1e-4)
