"""Mistakes that other tools make with frozen layers, each as a test that passes here."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

import frostline
from frostline.backbones.freeze.eval_mode import is_locked
from frostline.backbones.freeze.freezing import frozen_fingerprints, verify_frozen
from frostline.core.errors import PatternError
from tests.backbones.shaken import shake

X = torch.randn(4, 3, 64, 64)
EXAMPLE = X[:2]


def small(**options: object) -> nn.Module:
    torch.manual_seed(0)
    module: nn.Module = timm.create_model("test_resnet", num_classes=3, **options)
    # a branch that begins at zero passes no gradient on
    shake(module)
    return module


def step(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(functional.cross_entropy(module(X), torch.tensor([0, 1, 2, 0])))
    optimizer.step()


class EveryNorm(nn.Module):
    """Every kind of layer with statistics, randomness or a mode, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.SyncBatchNorm(8) if torch.cuda.is_available() else nn.BatchNorm2d(8),
            nn.GroupNorm(2, 8),
            nn.InstanceNorm2d(8, affine=True, track_running_stats=True),
            nn.Dropout2d(0.3),
            timm.layers.DropPath(0.5),
            timm.layers.LayerNorm2d(8),
        )
        self.high = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.high(self.low(x)).mean(dim=(2, 3)))
        return result


def test_every_norm_and_dropout_of_the_frozen_part_ignores_the_mode() -> None:
    # Keras 9214, Lightning 15062: batch statistics in frozen layers, or statistics that drift
    module = EveryNorm()
    report = frostline.freeze(module, upto="low", example=EXAMPLE)
    assert "low.1" in report.held
    assert "low.5" in report.held
    prints = frozen_fingerprints(module)
    with torch.no_grad():
        expected = module.eval().low(X)
        assert torch.equal(module.train().low(X), expected)
        for layer in module.modules():
            layer.train()
        assert torch.equal(module.low(X), expected)
    module.train()
    assert not torch.equal(module(X), module(X)), "dropout above the cut is alive"
    verify_frozen(module, prints)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.5, nesterov=True),
        lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, weight_decay=0.5),
    ],
    ids=["AdamW", "SGD", "RMSprop"],
)
def test_frozen_parameters_do_not_move_although_the_optimizer_has_them(make: object) -> None:
    # fairseq 4702, yolov5 1213: weight decay and momentum go on after freezing
    assert callable(make)
    module = small()
    optimizer = make(list(module.parameters()))
    module.train()
    step(module, optimizer)
    step(module, optimizer)
    frostline.freeze(module, ["conv1", "layer1*"])
    prints = frozen_fingerprints(module)
    with_momentum = optimizer.state[module.get_parameter("layer1.0.conv1.weight")]
    assert with_momentum
    for _ in range(3):
        step(module, optimizer)
    verify_frozen(module, prints)


def test_no_gradient_work_is_done_below_the_cut() -> None:
    # fortuna 90: gradients that are computed and thrown away
    module = small()
    frostline.freeze(module, upto="layer3", example=EXAMPLE)
    module.train()
    seen: set[object] = set()
    queue = [module(X).grad_fn]
    leaves = set()
    while queue:
        function = queue.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        if hasattr(function, "variable"):
            leaves.add(id(function.variable))
        queue += [parent for parent, _ in function.next_functions]
    trainable = {id(p) for n, p in module.named_parameters() if p.requires_grad}
    assert leaves == trainable
    convolutions = [f for f in seen if "Convolution" in type(f).__name__]
    own = [m for n, m in module.named_modules() if isinstance(m, nn.Conv2d) and "layer4" in n]
    assert len(convolutions) == len(own)


def test_fresh_batchnorm_joins_the_optimizer_when_it_is_unfrozen() -> None:
    # Lightning compares by value: a norm layer of ones and zeros passes for one it has already
    module = small()
    frostline.freeze(module, ["layer4"])
    optimizer = torch.optim.AdamW(frostline.nn.param_groups(module, lr=0.1), lr=0.1)
    frostline.nn.unfreeze(module, ["layer4"])
    groups = frostline.nn.param_groups(module, lr=0.1)
    joined = frostline.nn.add_new_groups(optimizer, groups)
    assert set(joined) == {n for n, _ in module.named_parameters() if n.startswith("layer4")}
    assert "layer4.0.bn1.weight" in joined
    assert frostline.nn.add_new_groups(optimizer, groups) == []
    everything = [id(p) for g in optimizer.param_groups for p in g["params"]]
    assert sorted(everything) == sorted(id(p) for p in module.parameters())
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    module.train()
    step(module, optimizer)
    assert all(not torch.equal(p, before[n]) for n, p in module.named_parameters() if n in joined)


def test_layerwise_rates_take_effect_under_a_plain_scheduler() -> None:
    # timm 2532: a scale that only timm's own schedulers read
    module = small()
    groups = frostline.nn.param_groups(
        module, lr=1.0, layer_decay=0.5, weight_decay=0.1, head=("fc",)
    )
    optimizer = torch.optim.SGD(groups, lr=123.0)
    rates = {g["name"]: g["lr"] for g in optimizer.param_groups}
    assert rates["layer4"] == 1.0
    assert rates["layer3"] == 0.5
    assert rates["layer2"] == 0.25
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    module.train()
    optimizer.zero_grad()
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    optimizer.step()
    moved = {n: float((before[n] - p.detach()).max()) for n, p in module.named_parameters()}
    assert moved["layer4.0.conv1.weight"] == pytest.approx(1.0, rel=1e-5)
    assert moved["layer2.0.conv1.weight"] == pytest.approx(0.25, rel=1e-5)
    scheduler.step()
    assert {g["name"]: round(g["lr"], 9) for g in optimizer.param_groups} == {
        name: round(rate * 0.1, 9) for name, rate in rates.items()
    }


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_every_parameter_is_in_one_group_and_norms_and_biases_do_not_decay(name: str) -> None:
    # timm 2712: tokens in the wrong group
    module = timm.create_model(name)
    groups = frostline.nn.param_groups(module, lr=1.0, layer_decay=0.9, weight_decay=0.1)
    names = [n for g in groups for n in g["param_names"]]
    assert sorted(names) == sorted(n for n, _ in module.named_parameters())
    decaying = {n for g in groups if g["weight_decay"] > 0 for n in g["param_names"]}
    for path, layer in module.named_modules():
        if "Norm" in type(layer).__name__:
            assert not decaying & {f"{path}.{n}" for n, _ in layer.named_parameters(recurse=False)}
    assert not [n for n in decaying if n.endswith("bias")]
    assert [n for n in decaying if n.endswith("weight")]
    if name == "test_vit":
        group = next(g for g in groups if "pos_embed" in g["param_names"])
        assert group["lr"] == min(g["lr"] for g in groups)
        assert group["weight_decay"] == 0.0


def test_a_run_resumes_although_more_has_been_unfrozen(tmp_path: Path) -> None:
    # Lightning 6891: a different number of groups breaks the optimiser's state
    def begin() -> tuple[nn.Module, torch.optim.Optimizer]:
        module = small()
        frostline.freeze(module, upto="layer3", example=EXAMPLE)
        module.train()
        return module, torch.optim.AdamW(
            frostline.nn.param_groups(module, lr=0.01, layer_decay=0.5)
        )

    def thaw(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        frostline.nn.unfreeze(module, ["layer3"])
        frostline.nn.add_new_groups(
            optimizer, frostline.nn.param_groups(module, lr=0.01, layer_decay=0.5)
        )

    whole, optimizer = begin()
    step(whole, optimizer)
    thaw(whole, optimizer)
    step(whole, optimizer)
    saved = {f"w/{k}": v for k, v in whole.state_dict().items()}
    saved |= {f"o/{k}": v for k, v in frostline.nn.optimizer_state(optimizer).items()}
    save_file(saved, tmp_path / "state.safetensors")
    step(whole, optimizer)

    found = load_file(tmp_path / "state.safetensors")
    again, optimizer = begin()
    thaw(again, optimizer)
    again.load_state_dict({k[2:]: v for k, v in found.items() if k.startswith("w/")})
    left = frostline.nn.restore_optimizer(
        optimizer, {k[2:]: v for k, v in found.items() if k.startswith("o/")}
    )
    assert left == []
    step(again, optimizer)
    assert frostline.nn.fingerprint(again) == frostline.nn.fingerprint(whole)
    # one that has fewer groups than the saved state takes what it has
    _, optimizer = begin()
    left = frostline.nn.restore_optimizer(
        optimizer, {k[2:]: v for k, v in found.items() if k.startswith("o/")}
    )
    assert left
    assert all(n.startswith("layer3") for n in left)


def test_unfreezing_step_by_step_moves_what_is_unfrozen_and_nothing_else() -> None:
    module = small()
    module.train()
    frostline.freeze(module, ["*"])
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.01, weight_decay=0.1)
    for name in ("fc", "layer4", "layer3"):
        frostline.nn.unfreeze(module, [name])
        frostline.nn.add_new_groups(optimizer, frostline.nn.param_groups(module, lr=0.01))
        prints = frozen_fingerprints(module)
        before = copy.deepcopy(module.state_dict())
        step(module, optimizer)
        verify_frozen(module, prints)
        assert not torch.equal(
            before[next(n for n in before if n.startswith(name))],
            module.state_dict()[next(n for n in before if n.startswith(name))],
        )
    assert module.get_submodule("layer4.0.bn1").training
    assert is_locked(module.get_submodule("layer1.0.bn1"))


def test_mixed_precision_leaves_frozen_layers_alone() -> None:
    module = small()
    frostline.freeze(module, upto="layer2", example=EXAMPLE)
    prints = frozen_fingerprints(module)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01, weight_decay=0.1)
    module.train()
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            step(module, optimizer)
    verify_frozen(module, prints)


def test_selections_by_expression_and_rule() -> None:
    module = small()
    report = frostline.freeze(module, re.compile(r"bn\d\.(weight|bias)$"))
    assert report.changed
    assert all(".bn" in n or n.startswith("bn") for n in report.changed)
    frostline.nn.unfreeze(module)
    report = frostline.freeze(module, lambda name, p: p.ndim == 4)
    assert set(report.changed) == {n for n, p in module.named_parameters() if p.ndim == 4}
    with pytest.raises(PatternError, match="regular expression 'nothing'"):
        frostline.freeze(module, re.compile("nothing"))
    with pytest.raises(PatternError, match="chooses no parameter"):
        frostline.freeze(module, lambda name, p: False)


def test_the_report_says_what_is_frozen_and_what_trains() -> None:
    module = small()
    report = frostline.freeze(module, upto="layer2", example=EXAMPLE)
    everything = [n for n, _ in module.named_parameters()]
    assert sorted([*report.frozen, *report.trainable]) == sorted(everything)
    assert report.n_frozen + report.n_trainable == sum(p.numel() for p in module.parameters())
    assert str(report).startswith("frozen: ")
    assert "layer4" in str(report).splitlines()[1]
    assert "held in eval mode" in str(report)
    report = frostline.nn.unfreeze(module, after="layer1", example=EXAMPLE)
    assert all(n.split(".")[0] in ("conv1", "bn1", "layer1") for n in report.frozen)
    assert module.train().get_submodule("layer2.0.bn1").training
    assert not module.get_submodule("layer1.0.bn1").training


def test_frozen_modules_survive_a_copy_and_a_state_dict() -> None:
    module = small()
    frostline.freeze(module, upto="layer2", example=EXAMPLE)
    copied = copy.deepcopy(module).train()
    assert is_locked(copied.get_submodule("layer1.0.bn1"))
    assert copied.get_submodule("layer4.0.bn1").training
    fresh = small()
    fresh.load_state_dict(module.state_dict(), strict=True)
