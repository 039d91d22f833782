"""Frozen is frozen: in value, in statistics and in mode."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from frostline.backbones.freeze.freezing import (
    freeze,
    frozen_fingerprints,
    frozen_names,
    lock_norms_in_eval,
    unfreeze,
    verify_frozen,
)
from frostline.backbones.freeze.param_groups import param_groups
from frostline.backbones.heads.classifiers import build_classifier
from frostline.backbones.network import Network
from frostline.core.errors import FrozenChangedError, PatternError

pytestmark = pytest.mark.slow


def train_a_little(module: nn.Module, steps: int = 3) -> None:
    module.train()
    moving = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(moving, lr=0.01, weight_decay=0.1)
    for step in range(steps):
        torch.manual_seed(step)
        optimiser.zero_grad()
        loss = module(torch.randn(4, 3, 64, 64)).square().mean()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "mobilenetv3_small_100"])
def test_frozen_part_is_bit_equal_after_training_and_the_rest_moves(name: str) -> None:
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=3)
    stage = "layer[12]" if name == "resnet18" else "stages.[01]"
    patterns = ["blocks.[0-2]", "conv_stem", "bn1"] if "mobile" in name else [stage]
    frozen = freeze(net, patterns)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    prints = frozen_fingerprints(net)
    train_a_little(net)
    verify_frozen(net, prints)
    held = set(frozen_names(net))
    assert set(frozen.frozen) <= held
    for key, value in net.state_dict().items():
        if key in held:
            assert torch.equal(value, before[key]), key
    moved = [k for k, p in net.named_parameters() if p.requires_grad]
    assert moved
    assert all(not torch.equal(net.state_dict()[k], before[k]) for k in moved)


def test_batchnorm_statistics_are_held_and_output_is_the_same_in_both_modes() -> None:
    net = timm.create_model("resnet18", num_classes=3).eval()
    freeze(net)
    x = torch.randn(2, 3, 64, 64) * 5 + 3
    with torch.no_grad():
        expected = net(x)
        assert torch.equal(net.train()(x), expected)
    assert any(k.endswith("running_mean") for k in frozen_names(net))


def test_deep_copies_stay_frozen_and_unfreeze_gives_everything_back() -> None:
    net = timm.create_model("resnet18", num_classes=3)
    freeze(net, ["layer1"])
    assert not copy.deepcopy(net).train().layer1[0].bn1.training
    unfreeze(net, ["layer1"])
    assert all(p.requires_grad for p in net.parameters())
    assert net.train().layer1[0].bn1.training
    assert type(net.layer1[0].bn1) is nn.BatchNorm2d


def test_norms_held_in_eval_still_train_their_weights() -> None:
    net = timm.create_model("resnet18", num_classes=3)
    lock_norms_in_eval(net)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    train_a_little(net)
    after = net.state_dict()
    assert torch.equal(after["bn1.running_mean"], before["bn1.running_mean"])
    assert not torch.equal(after["bn1.weight"], before["bn1.weight"])


def test_a_change_is_an_error_that_names_the_tensor() -> None:
    net = timm.create_model("resnet18", num_classes=3)
    freeze(net, ["layer1"])
    prints = frozen_fingerprints(net)
    with torch.no_grad():
        net.get_submodule("layer1.0.bn1").running_mean.add_(1e-7)
    with pytest.raises(FrozenChangedError, match=r"1 frozen tensors.*layer1\.0\.bn1\.running_mean"):
        verify_frozen(net, prints)


def test_a_pattern_that_matches_nothing_is_an_error_with_a_guess() -> None:
    with pytest.raises(PatternError, match=r"'layr1' matches no layer.*layer1"):
        freeze(timm.create_model("resnet18"), ["layr1"])


@pytest.mark.parametrize("new_block", [False, True])
def test_groups_hold_every_trainable_parameter_once_with_decaying_rates(new_block: bool) -> None:
    network = Network.load("resnet18", pretrained=False)
    model = build_classifier(network, keep_to="layer3", n_outputs=3, new_block=new_block)
    assert not [n for n, _ in model.named_parameters() if "layer4" in n]
    freeze(model, ["kept.conv1", "kept.bn1", "kept.layer1"])
    groups = param_groups(
        model,
        stages=[f"kept.{name}" for name in network.layers(to="layer3")],
        lr=1.0,
        layer_decay=0.5,
        weight_decay=0.1,
        head_lr=10.0,
    )
    names = [n for g in groups for n in g["param_names"]]
    assert sorted(names) == sorted(n for n, p in model.named_parameters() if p.requires_grad)
    rates = {g["name"]: g["lr"] for g in groups}
    assert rates["kept.layer3"] == 1.0
    assert rates["kept.layer2"] == 0.5
    assert rates["head"] == 10.0
    assert all(g["weight_decay"] == 0 for g in groups if "no decay" in g["name"])
    assert all(p.ndim == 1 for g in groups if "no decay" in g["name"] for p in g["params"])
