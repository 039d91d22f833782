"""Networks that people bring: control flow, writing in place, ties, what no trace can follow."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

import frostline
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError, CutError

X = torch.randn(2, 3, 32, 32)


class Block(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(wide, wide, 3, padding=1)
        self.norm = nn.BatchNorm2d(wide)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.norm(self.conv(x)))


class Sizes(nn.Module):
    """Asks for sizes in conditions, loops and views, and writes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList([Block(8), Block(8), Block(8)])
        self.position = nn.Parameter(torch.randn(1, 8, 16, 16))
        self.unused = nn.Parameter(torch.randn(3))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, height, width = x.shape
        x = self.stem(x)
        if x.shape[-1] == self.position.shape[-1]:
            x = x + self.position
        for i in range(len(self.blocks)):
            x = self.blocks[i](x)
            x += 1
        if height != width:
            raise ValueError("square images only")
        result: torch.Tensor = self.head(x.reshape(n, 8, -1).mean(dim=2))
        return result


class Tied(nn.Module):
    """One layer at two depths, and one tensor under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.shared = Block(8)
        self.middle = Block(8)
        self.top = nn.Conv2d(8, 8, 1, bias=False)
        self.last = nn.Conv2d(8, 8, 1, bias=False)
        self.last.weight = self.top.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.middle(self.shared(self.stem(x)))
        top: torch.Tensor = self.last(torch.relu(self.top(self.shared(x))))
        return top.mean(dim=(2, 3))


class ByPixels(nn.Module):
    """Decides by what the image shows: no graph can hold that."""

    def __init__(self) -> None:
        super().__init__()
        self.dark = nn.Conv2d(3, 4, 3, padding=1)
        self.bright = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.bright(x) if x.mean() > 0 else self.dark(x)
        return result


class Wrapped(nn.Module):
    """Holds a module that cannot be traced, between others that can."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 3, 3, padding=1)
        self.gate = ByPixels()
        self.after = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.after(self.gate(self.before(x))).mean(dim=(2, 3)))
        return result


class Chain(nn.Module):
    """Its own forward cannot be traced, but it only runs its children in order."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.high = nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = f"{x.shape[0]:d} images"
        result: torch.Tensor = self.high(self.low(x))
        return result


class Rooted(nn.Module):
    """Dropout without a layer, in the network's own forward, above the first cut."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Conv2d(3, 8, 3)
        self.high = nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.high(torch.relu(self.low(x))).mean(dim=(2, 3))
        x = functional.dropout(x, 0.5, training=self.training)
        result: torch.Tensor = self.head(x)
        return result


@pytest.mark.parametrize("kind", [Sizes, Tied, Wrapped, Chain, Rooted])
def test_all_cuts_are_exact_and_the_module_stays_as_it_is(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    module = kind()
    module.train()
    module.get_submodule(next(n for n, _ in module.named_children())).eval()
    modes = [m.training for m in module.modules()]
    prints = frostline.nn.fingerprint(module)
    network = Network.load(module, example=X)
    assert [m.training for m in module.modules()] == modes
    assert frostline.nn.fingerprint(module) == prints
    module.eval()
    for images in (X, torch.randn(5, 3, 32, 32)):
        with torch.no_grad():
            whole = module(images)
            for cut in network.all_cuts:
                prefix, suffix = network.split(cut.name)
                passing = prefix.eval()(images)
                kept = passing.clone()
                assert torch.equal(suffix.eval()(passing), whole), cut.name
                assert torch.equal(passing, kept), "the suffix wrote into its input"
                names = set(prefix.state_dict()) | set(suffix.state_dict())
                assert names == set(module.state_dict())


def test_names_follow_the_modules_and_depth_follows_the_work() -> None:
    network = Network.load(Sizes(), example=X)
    names = [cut.name for cut in network.cuts]
    assert names[:4] == ["stem", "blocks.0", "blocks.1", "blocks.2"]
    assert [cut.index for cut in network.cuts] == list(range(len(names)))
    stem, first = network.cuts[0], network.cuts[1]
    assert stem.macs_before == 3 * 9 * 8 * 16 * 16
    assert first.macs_before - stem.macs_before == 8 * 9 * 8 * 16 * 16
    assert stem.parameters_before == 8 * 3 * 9 + 8
    total = sum(p.numel() for n, p in network.module.named_parameters() if n != "unused")
    assert stem.parameters_before + stem.parameters_after == total
    assert (stem.receptive_field, first.receptive_field) == (3, 7)
    assert stem.bytes_per_image == 2 * 8 * 16 * 16


def test_a_module_that_blocks_the_trace_becomes_one_operation() -> None:
    network = Network.load(Wrapped(), example=X)
    assert network._traced.whole == ("gate",)
    assert [cut.name for cut in network.cuts][:3] == ["before", "gate", "after"]


def test_children_in_order_are_the_last_resort() -> None:
    network = Network.load(Chain(), example=X)
    assert [cut.name for cut in network.all_cuts] == ["low.0", "low"]
    assert "cut between its children" in network.notes[0]


def test_what_cannot_be_cut_is_named() -> None:
    with pytest.raises(BackboneError, match=r"own forward\(\) \(ByPixels\).*values of"):
        Network.load(ByPixels(), example=X)


def test_what_does_not_run_is_named() -> None:
    with pytest.raises(BackboneError, match=r"does not run on an example of shape \(2, 3, 32, 16"):
        Network.load(Sizes(), example=X[..., :16])
    with pytest.raises(BackboneError, match=r"Give an example batch"):
        Network.load(Sizes())
    with pytest.raises(BackboneError, match="needs more than one image batch"):
        Network.load(nn.Bilinear(2, 2, 2), example=torch.randn(2, 2))


def test_tied_layers_are_frozen_wherever_they_are_used() -> None:
    module = Tied()
    report = frostline.freeze(module, upto="middle", example=X)
    assert set(report.shared) == {n for n, _ in module.named_parameters() if "shared" in n}
    assert all(n.split(".")[0] in ("stem", "shared", "middle") for n in report.frozen)
    assert "top.weight" in report.trainable
    network = Network.load(Tied(), example=X)
    with torch.no_grad():
        prefix, suffix = (copy.deepcopy(part) for part in network.split("middle"))
        next(suffix.get_submodule("shared").parameters()).add_(1)
    with pytest.raises(BackboneError, match="disagree on 'shared"):
        network.merge(prefix, suffix)


def test_dropout_without_a_layer_lives_in_the_suffix_and_not_in_a_frozen_prefix() -> None:
    module = Rooted()
    network = Network.load(module, example=X)
    prefix, suffix = network.split("low")
    passing = prefix(X).detach()
    module.train()
    suffix.train()
    assert not torch.equal(suffix(passing), suffix(passing))
    suffix.eval()
    assert torch.equal(suffix(passing), suffix(passing))


class DropsEarly(Rooted):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.dropout(torch.relu(self.low(x)), 0.5, training=self.training)
        result: torch.Tensor = self.head(self.high(x).mean(dim=(2, 3)))
        return result


def test_freezing_below_a_loose_dropout_is_refused_rather_than_wrong() -> None:
    module = DropsEarly()
    with pytest.raises(CutError, match="acts by its mode before 'high'"):
        frostline.freeze(module, upto="high", example=X)
    prefix, _ = Network.load(module, example=X).split("high")
    frostline.freeze(prefix)
    assert torch.equal(prefix.train()(X), prefix.eval()(X))


def test_parts_share_layers_and_copies_do_not() -> None:
    module = timm.create_model("test_resnet").eval()
    network = Network.load(module)
    prefix, _ = network.split("layer2")
    assert prefix.get_submodule("layer1") is module.layer1
    module.train()
    copied = copy.deepcopy(prefix)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    x = torch.randn(2, 3, 96, 96)
    assert not torch.equal(copied.eval()(x), prefix.eval()(x))


def test_making_parts_leaves_modes_alone() -> None:
    module = timm.create_model("test_resnet").train()
    network = Network.load(module)
    network.body(network.taps)
    network.split("layer1")
    assert all(m.training for m in module.modules())
