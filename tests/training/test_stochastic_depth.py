"""Residual branches are left out of what trains, by depth, and never otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn

from frostline.backbones.network import Network
from frostline.compute.engines.torch_runtime import Compute
from frostline.core.actions import FullTraining, Recipe, SuffixTraining
from frostline.training.assembly import assemble
from frostline.training.stochastic_depth import stochastic_depth

CPU = Compute(torch.device("cpu"), half=False)
RECIPE = Recipe(epochs=1, batch_size=4, learning_rate=1e-4, head_learning_rate=1e-4)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network.load(timm.create_model("test_vit", pretrained=False).eval())


def images(network: Network) -> torch.Tensor:
    size = network.preprocessing.size
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_rates_rise_evenly_and_nothing_is_left_behind(network: Network) -> None:
    classifier = assemble(FullTraining(recipe=RECIPE), network, n_outputs=3, seed=0, compute=CPU)
    module, x = classifier.network.module, images(network)
    kept = classifier.classifier.kept
    with torch.no_grad():
        before = kept.train()(x)
        with stochastic_depth(module, 0.9) as rates:
            assert rates == pytest.approx([0.9 * i / 5 for i in range(6)])
            inside = kept.train()(x)
            assert torch.equal(kept.eval()(x), before)
        assert torch.equal(kept.train()(x), before)
    assert not torch.allclose(inside, before)


def test_frozen_blocks_keep_every_branch(network: Network) -> None:
    half = network.cuts[len(network.cuts) // 2].name
    action = SuffixTraining(freeze_to=half, recipe=RECIPE)
    classifier = assemble(action, network, n_outputs=3, seed=0, compute=CPU)
    with stochastic_depth(classifier.network.module, 0.5) as rates:
        assert 0 < len(rates) < 6
        assert rates[0] > 0


@pytest.mark.parametrize("make", [nn.Sequential, lambda: timm.create_model("test_resnet")])
def test_no_rate_and_no_place_change_nothing(make: Callable[[], nn.Module]) -> None:
    with stochastic_depth(make(), 0.5) as rates:
        pass
    with stochastic_depth(timm.create_model("test_vit"), 0.0) as none:
        pass
    assert none == []
    assert all(rate <= 0.5 for rate in rates)


def test_it_drops_images_at_the_rate_that_is_said() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            self.drop_path = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.drop_path(x * self.weight)
            return found

    net = nn.Sequential(Block(), Block())
    torch.manual_seed(2)
    with stochastic_depth(net, 0.25):
        found = net(torch.ones(4000, 1)).detach()
    assert (found == 0).float().mean() == pytest.approx(0.25, abs=0.03)
    assert found.mean() == pytest.approx(1.0, abs=0.03)
