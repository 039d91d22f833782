"""Folded norm layers compute the same, give the same gradients, and leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from frostline.backbones.freeze.freezing import freeze, lock_norms_in_eval
from frostline.backbones.network import Network
from frostline.core.actions import FullTraining, Recipe, SuffixTraining
from frostline.training.accelerate.accelerated import accelerated
from frostline.training.accelerate.norm_folding import folded_norms
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

NAMES = ("efficientnet_lite0", "resnet10t", "mobilenetv3_small_050", "torchvision:resnet18")


@pytest.fixture(params=NAMES)
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(0)
    bundled = request.param == NAMES[0]
    net = Network.load(request.param, pretrained=bundled).at_size(64).copy()
    for layer in net.module.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and not bundled:
            # statistics that are not trivial
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
            layer.weight.data.uniform_(0.5, 1.5)
    net.module.requires_grad_(True)
    lock_norms_in_eval(net.feature_module)
    return net


def gradients(net: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    net.zero_grad(set_to_none=True)
    net.train()
    torch.manual_seed(1)
    out = net(x)
    torch.autograd.backward(out.square().mean())
    found = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
    return out.detach(), found


def test_outputs_and_gradients_are_those_of_the_network(network: Network) -> None:
    net = network.feature_module
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    expected, wanted = gradients(net, x)
    with folded_norms(network) as count:
        found, got = gradients(net, x)
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    assert count == norms > 5
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.std()))
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        error = float((got[name] - gradient).norm()) / (float(gradient.norm()) + 1e-12)
        assert error < 5e-3, name
    again, _ = gradients(net, x)
    assert torch.equal(again, expected)
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_norm_layers_that_learn_are_left_alone(network: Network) -> None:
    fresh = Network.load("resnet10t", pretrained=False)
    fresh.module.train()
    with folded_norms(fresh) as count:
        assert count == 0


def test_one_switch_leaves_every_layer_as_it_is(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced() -> int:
        return sum("forward" in layer.__dict__ for layer in network.module.modules())

    with accelerated(network, network.module) as on:
        assert on and replaced() > 5
    monkeypatch.setenv("FROSTLINE_PLAIN", "1")
    with accelerated(network, network.module) as on:
        assert not on and replaced() == 0


def test_a_frozen_prefix_folds_too() -> None:
    net = Network.load("resnet10t", pretrained=False).copy()
    freeze(net.prefix("layer2"))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = net.prefix("layer2")(x)
        with folded_norms(net) as count:
            found = net.prefix("layer2")(x)
    assert count > 3
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["suffix", "full"])
def test_training_is_the_same_with_and_without(
    kind: str, fit: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(fit)
    recipe = Recipe(
        epochs=2, batch_size=16, learning_rate=1e-3, head_learning_rate=1e-3, augment="none"
    )
    action = (
        SuffixTraining(freeze_to="blocks.2", recipe=recipe)
        if kind == "suffix"
        else FullTraining(recipe=recipe)
    )
    folded: Trained = fit(action)

    monkeypatch.setenv("FROSTLINE_PLAIN", "1")
    plain: Trained = fit(action)
    assert not np.array_equal(folded.out_of_fold_logits, plain.out_of_fold_logits)
    bound = 0.02 * float(plain.out_of_fold_logits.std())
    np.testing.assert_allclose(folded.out_of_fold_logits, plain.out_of_fold_logits, atol=bound)
