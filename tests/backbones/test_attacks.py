"""Attacks on cutting and freezing that once succeeded."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize
from torchvision import models
from torchvision.ops import FrozenBatchNorm2d

import frostline
from frostline.backbones.freeze.eval_mode import is_locked
from frostline.backbones.freeze.freezing import frozen_fingerprints, verify_frozen
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError, CutError, FrostlineError

X = torch.randn(4, 3, 16, 16)


def conv(wide: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(wide, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())


def small() -> nn.Sequential:
    top = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 5))
    return nn.Sequential(conv(3, 8), conv(8, 8), *top)


Forward = Callable[["Own", torch.Tensor], torch.Tensor]


class Own(nn.Module):
    """Two blocks and a head; how they are put together is given."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.a, self.b, self.fc = conv(3, 8), conv(8, 8), nn.Linear(8, 5)
        self.way = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.way(self, x)


def top(net: Own, y: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = net.fc(net.b(y).mean((2, 3)))
    return result


def by_loudest(net: Own, x: torch.Tensor) -> torch.Tensor:
    k = x.abs().max().item()
    return top(net, net.a(x / k)) * k


def by_count(net: Own, x: torch.Tensor) -> torch.Tensor:
    y = net.a(x)
    if torch.nonzero(y > 1).shape[0] < 1000:
        y = y * 3
    return top(net, y)


def by_masked(net: Own, x: torch.Tensor) -> torch.Tensor:
    y = net.a(x)
    result: torch.Tensor = top(net, y) * y[y > 1].shape[0]
    return result


def by_closeness(net: Own, x: torch.Tensor) -> torch.Tensor:
    y = net.a(x)
    if torch.allclose(y, torch.zeros_like(y)):
        y = y * 3
    return top(net, y)


def by_range(net: Own, x: torch.Tensor) -> torch.Tensor:
    if x.max() > 2:
        x = x / 255
    return top(net, net.a(x))


@pytest.mark.parametrize("way", [by_loudest, by_count, by_masked, by_closeness, by_range])
def test_what_pixels_decide_is_never_built_in(way: Forward) -> None:
    torch.manual_seed(0)
    module = Own(way).eval()
    example = torch.rand(4, 3, 16, 16)
    try:
        network = Network.load(module, example=example)
    except FrostlineError:
        return
    for cut in network.all_cuts:
        prefix, suffix = network.split(cut.name)
        for z in (7 * torch.randn(3, 3, 16, 16), 255 * torch.rand(2, 3, 16, 16), 0 * X):
            with torch.no_grad():
                assert torch.equal(suffix.eval()(prefix.eval()(z)), module(z)), cut.name


def noisy_root(net: Own, x: torch.Tensor) -> torch.Tensor:
    x = net.a(x)
    if net.training:
        x = x + 0.0
    return top(net, x)


def test_train_and_eval_graphs_are_matched_by_module() -> None:
    torch.manual_seed(0)
    module = Own(noisy_root)
    runs: list[int] = []
    module.get_submodule("b.0").register_forward_hook(lambda *_: runs.append(1))
    prefix, suffix = Network.load(module, example=X).split("b")
    runs.clear()
    module.train()
    passing = prefix.train()(X)
    assert passing.shape == (4, 8, 16, 16)
    suffix.train()(passing)
    assert len(runs) == 1


class Counting(nn.BatchNorm2d):
    pass


class ByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.calls: torch.Tensor
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean((0, 2, 3)))
        self.calls = self.calls + 1
        self.last = x
        return x - self.mean.view(1, -1, 1, 1)


@pytest.mark.parametrize("layer", [lambda: Counting(8), ByHand])
def test_loading_runs_nothing_for_good(layer: Callable[[], nn.Module]) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), layer(), nn.ReLU(), conv(8, 8)).train()
    before = frostline.nn.fingerprint(module)
    network = Network.load(module, example=X)
    assert frostline.nn.fingerprint(module) == before
    assert not [v for m in module.modules() for v in m.__dict__.values() if _is_proxy(v)]
    frostline.freeze(module, upto="1", example=X)
    prints = frozen_fingerprints(module)
    Network.load(module, example=X)
    verify_frozen(module, prints)
    assert [cut.name for cut in network.cuts][:1] == ["2"]
    with torch.no_grad():
        module.eval()
        for name, end in (("0", 1), ("1", 2), ("2", 3)):
            assert torch.equal(network.prefix(name)(X), module[:end](X))


def _is_proxy(value: object) -> bool:
    return isinstance(value, torch.fx.Proxy)


def test_buffers_follow_when_other_weights_are_loaded() -> None:
    torch.manual_seed(0)
    module, other = (models.resnet18(norm_layer=FrozenBatchNorm2d).eval() for _ in range(2))
    for buffer in other.buffers():
        buffer.mul_(1.3).add_(0.1)
    prefix, suffix = Network.load(module, example=torch.randn(1, 3, 64, 64)).split("layer2")
    module.load_state_dict(other.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(suffix(prefix(x)), other(x))


def test_a_new_head_on_a_frozen_network_trains() -> None:
    module = models.resnet18(weights=None)
    frostline.freeze(module)
    module.fc = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(512), nn.Linear(512, 5))
    module.train()
    assert all(layer.training for layer in module.fc.modules())
    assert not module.get_submodule("layer1.0.bn1").training
    assert not module.eval().fc.training
    nested = small()
    frostline.freeze(nested)
    frostline.nn.unfreeze(nested[1])
    nested.train()
    assert nested.get_submodule("1.1").training
    assert not nested.get_submodule("0.1").training


def test_layers_without_parameters_are_held_and_released() -> None:
    module = nn.Sequential(nn.BatchNorm2d(3, affine=False), *small())
    frostline.freeze(module, ["0"])
    bare = nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.ReLU())
    frostline.freeze(bare)
    prints = frostline.nn.fingerprint(module[0]), frostline.nn.fingerprint(bare)
    module.train()(X)
    bare.train()(X)
    assert (frostline.nn.fingerprint(module[0]), frostline.nn.fingerprint(bare)) == prints
    piecewise = small()
    for name in ("0", "1", "5"):
        frostline.freeze(piecewise, [name])
    assert is_locked(piecewise[4])
    for name in ("0", "1", "5"):
        frostline.nn.unfreeze(piecewise, [name])
    assert all(m.training for m in piecewise.train().modules())


def test_the_mode_survives_freezing_loading_and_unfreezing() -> None:
    module = small().train()
    frostline.freeze(module)
    module.train()
    Network.load(module, example=X)
    frostline.nn.unfreeze(module, after="0", example=X)
    assert module.training
    assert module.get_submodule("1.1").training
    assert not module.get_submodule("0.1").training


def test_every_name_of_a_tied_tensor_counts() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    report = frostline.freeze(module, ["2.weight"])
    assert not module[0].weight.requires_grad
    assert report.trainable == ("0.bias", "2.bias")
    frostline.nn.unfreeze(module)
    frostline.freeze(module, ["2"])
    assert not module[0].weight.requires_grad


def test_sequences_before_images_are_no_cut() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, 4)
            self.one = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
            self.two = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
            self.fc = nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.two(self.one(self.patch(x).flatten(2).permute(2, 0, 1)))
            result: torch.Tensor = self.fc(x.mean(0))
            return result

    # as many tokens as images in the example
    network = Network.load(Tokens().eval(), example=torch.randn(4, 3, 8, 8))
    for cut in network.all_cuts:
        assert len(network.prefix(cut.name)(torch.randn(6, 3, 8, 8))) == 6


def test_taps_are_taken_before_they_are_overwritten() -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = nn.Conv2d(8, 8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.c(functional.relu(x, inplace=True))
            return result

    module = nn.Sequential(nn.Conv2d(3, 8, 3), Inside(), Inside()).eval()
    network = Network.load(module, example=X)
    names = [cut.name for cut in network.cuts if cut.is_map]
    body = network.body(names)
    values = body(X)
    for name in names:
        expected = pooled(network.prefix(name)(X), "NCHW")
        assert torch.equal(values[:, body.slices[name]], expected), name


def test_a_suffix_says_when_it_was_cut_for_another_size() -> None:
    def resized(net: Own, x: torch.Tensor) -> torch.Tensor:
        y = net.b(functional.max_pool2d(net.a(x), 2))
        result: torch.Tensor = net.fc(functional.interpolate(y, size=x.shape[-2:]).mean((2, 3)))
        return result

    module = Own(resized).eval()
    network = Network.load(module, example=X)
    prefix, suffix = network.split("a")
    assert torch.equal(suffix(prefix(X)), module(X))
    with pytest.raises(CutError, match=r"shape \(8, 16, 16\), not \(8, 32, 32\)"):
        suffix(prefix(torch.randn(1, 3, 32, 32)))


def test_networks_that_return_dictionaries() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = conv(3, 8), conv(8, 8)

        def forward(self, x: torch.Tensor) -> dict[str, object]:
            y = self.b(self.a(x))
            return {"out": y, "sizes": (y.mean(), x.shape[0])}

    module = Several().eval()
    prefix, suffix = Network.load(module, example=X).split("a")
    found, wanted = suffix(prefix(X)), module(X)
    assert torch.equal(found["out"], wanted["out"])
    assert found["sizes"][1] == 4


def test_parametrised_layers_are_held_and_given_back() -> None:
    module = small()
    frostline.freeze(module, ["0"])
    parametrizations.spectral_norm(module.get_submodule("0.0"))
    frostline.nn.unfreeze(module)
    module.train()(X)
    assert not is_locked(module.get_submodule("0.0"))
    other = small()
    parametrizations.weight_norm(other.get_submodule("0.0"))
    frostline.freeze(other, ["0"])
    assert torch.equal(copy.deepcopy(other).eval()(X), other.eval()(X))
    frostline.nn.unfreeze(other)
    parametrize.remove_parametrizations(other.get_submodule("0.0"), "weight")
    assert type(other.get_submodule("0.0")) is nn.Conv2d


def test_scripted_layers_freeze() -> None:
    module = nn.Sequential(torch.jit.script(conv(3, 8)), conv(8, 8))
    report = frostline.freeze(module, upto="0", example=X)
    assert any(name.startswith("0.") for name in report.frozen)
    assert all(name.startswith("1.") for name in report.trainable)


def test_schedulers_go_on_after_new_groups_join() -> None:
    module = small()
    frostline.freeze(module, ["0"])
    optimizer = torch.optim.AdamW(frostline.nn.param_groups(module, lr=0.1))
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    frostline.nn.unfreeze(module, ["0"])
    frostline.nn.add_new_groups(optimizer, frostline.nn.param_groups(module, lr=0.1))
    optimizer.step()
    scheduler.step()
    assert all("initial_lr" in group for group in optimizer.param_groups)


def test_restored_state_is_the_optimizers_own() -> None:
    module = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(frostline.nn.param_groups(module, lr=0.1))
    torch.autograd.backward(module(torch.randn(4, 3)).sum())
    optimizer.step()
    state = frostline.nn.optimizer_state(optimizer)
    before = {name: value.clone() for name, value in state.items()}
    frostline.nn.restore_optimizer(optimizer, state)
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in state.items())
    with pytest.raises(BackboneError, match="names of its parameters"):
        frostline.nn.optimizer_state(torch.optim.AdamW(module.parameters()))


@pytest.mark.parametrize("what", [nn.Linear, None, 3])
def test_what_is_no_network_is_said(what: object) -> None:
    with pytest.raises(BackboneError, match="A network is a name, a folder or a"):
        Network.load(what)  # type: ignore[arg-type]


def test_one_image_is_no_batch() -> None:
    with pytest.raises(BackboneError, match=r"must be a batch .*, got shape \(3, 16, 16\)"):
        Network.load(small(), example=X[0])


def test_surgery_refuses_what_it_cannot_do() -> None:
    alone = nn.Linear(10, 5)
    with pytest.raises(BackboneError, match="No linear layer"):
        frostline.nn.replace_classifier(alone, 3, example=torch.randn(2, 10))
    assert not list(alone.children())
    normed = small()
    parametrizations.weight_norm(normed.get_submodule("0.0"))
    with pytest.raises(BackboneError, match="computed from others"):
        frostline.nn.adapt_input(normed, 1, example=X)


def test_a_cut_lies_where_its_name_ends() -> None:
    torch.manual_seed(0)
    module = small().eval()
    network = Network.load(module, example=X)
    for cut in (*network.cuts, *network.all_cuts):
        for name in (cut.name, *cut.aliases):
            if ":" in name:
                continue
            seen: list[torch.Tensor] = []
            layer = module.get_submodule(name)
            handle = layer.register_forward_hook(lambda _, __, y, seen=seen: seen.append(y.clone()))
            module(X)
            handle.remove()
            assert torch.equal(network._parts.between(None, [cut.node])(X), seen[-1]), name


def test_tensors_made_from_sizes_grow_with_the_batch() -> None:
    def masked(net: Own, x: torch.Tensor) -> torch.Tensor:
        n, _, height, width = x.shape
        y = net.a(x) * torch.ones(n, 1, height, width, dtype=x.dtype)
        y = y + torch.arange(width).view(1, 1, 1, -1)
        return top(net, y) + torch.zeros(n, 5)

    module = Own(masked).eval()
    network = Network.load(module, example=X)
    assert network._traced.whole == ()
    prefix, suffix = network.split("b")
    x = torch.randn(7, 3, 16, 16)
    assert torch.equal(suffix(prefix(x)), module(x))
