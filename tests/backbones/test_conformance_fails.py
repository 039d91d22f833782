"""Each check of the promises fails on a network, or a doctored call, that breaks its promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from frostline.backbones import conformance
from frostline.backbones.conformance import check
from frostline.backbones.freeze.eval_mode import eval_mode, unlock_all
from frostline.backbones.freeze.freezing import FreezeReport, freeze
from frostline.backbones.graph.subgraphs import Subgraph
from frostline.backbones.network import Network

Patch = pytest.MonkeyPatch
Hook = Callable[[nn.Module, Any, Any], Any]


class Sound(nn.Module):
    """Keeps every promise: statistics below the middle cut, dropout above it."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.two = nn.Conv2d(4, 4, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.three = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.three(self.drop(self.two(self.one(x))))
        return result.mean(dim=(2, 3))


class Silent(Sound):
    """Gives zeros, whatever it sees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 0.0


class Counting(nn.Module):
    """Counts its calls in a buffer, in eval mode too."""

    calls: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + 0.0


class RandomBelow(Sound):
    """Drops pixels below the middle cut, in its own ``forward``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, training=self.training))


def counts(patch: Patch) -> nn.Module:
    network = Sound()
    network.one.append(Counting())
    return network


def too_short(patch: Patch) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(1024, 2))


# loading that does not leave the network alone


def loads(change: Callable[[nn.Module], object], patch: Patch) -> nn.Module:
    plain = Network.load

    def load(module: nn.Module, **options: Any) -> Network:
        change(module)
        return plain(module, **options)

    patch.setattr(Network, "load", load)
    return Sound()


def change_a_weight(module: nn.Module) -> None:
    next(module.parameters()).data.add_(1.0)


# parts that are not those of the network


def splits(patch: Patch, *, prefix: Hook | None = None, suffix: Hook | None = None) -> nn.Module:
    """Let hooks change what the parts give."""
    plain = Network.split

    def split(network: Network, cut: str) -> tuple[Subgraph, Subgraph]:
        parts = plain(network, cut)
        for part, hook in zip(parts, (prefix, suffix), strict=True):
            if hook is not None:
                part.register_forward_hook(hook)
        return parts

    patch.setattr(Network, "split", split)
    return Sound()


def spoil_input(part: nn.Module, inputs: Any, output: torch.Tensor) -> None:
    inputs[0].zero_()


def double_gradient(part: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return 2 * output - output.detach()


def drop_always(part: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return nn.functional.dropout(output, 0.5)


def in_eval_mode(part: nn.Module, inputs: Any, output: torch.Tensor) -> Any:
    with eval_mode(part):
        return part.forward(*inputs)


def with_another_name(patch: Patch) -> nn.Module:
    plain = Network.split

    def split(network: Network, cut: str) -> tuple[Subgraph, Subgraph]:
        prefix, suffix = plain(network, cut)
        suffix.register_buffer("stranger", torch.zeros(()))
        return prefix, suffix

    patch.setattr(Network, "split", split)
    return Sound()


def merges(change: Callable[[nn.Module], object], patch: Patch) -> nn.Module:
    plain = Network.merge

    def merge(network: Network, prefix: nn.Module, suffix: nn.Module) -> nn.Module:
        merged = plain(network, prefix, suffix)
        change(merged)
        return merged

    patch.setattr(Network, "merge", merge)
    return Sound()


def change_class(module: nn.Module) -> None:
    module.__class__ = type("Another", (type(module),), {})


# freezing that is forgotten, half done, or told wrongly


def freezes(
    change: Callable[[nn.Module, FreezeReport], FreezeReport | None], patch: Patch
) -> nn.Module:
    def doctored(module: nn.Module, **options: Any) -> FreezeReport:
        report = freeze(module, **options)
        return change(module, report) or report

    patch.setattr(conformance, "freeze", doctored)
    return Sound()


def undo(module: nn.Module, report: FreezeReport) -> None:
    unlock_all(module)
    module.requires_grad_(True)


def follow_the_mode(module: nn.Module, report: FreezeReport) -> None:
    unlock_all(module)


def no_gradient_above(module: nn.Module, report: FreezeReport) -> None:
    module.register_forward_hook(lambda part, inputs, output: output.detach().requires_grad_())


def count_all_as_frozen(module: nn.Module, report: FreezeReport) -> FreezeReport:
    return replace(report, frozen=(*report.frozen, *report.trainable))


#: the check, what it says, and the network that it says it of, after calls were doctored
CASES: list[tuple[str, str, Callable[[Patch], nn.Module]]] = [
    ("left alone", "loading changed", partial(loads, change_a_weight)),
    ("left alone", "loading changed", partial(loads, nn.Module.train)),
    ("enough cuts", "only", too_short),
    ("split is exact", "shape (4, 15, 16)", partial(splits, prefix=lambda p, i, o: o[:, :, 1:])),
    ("split is exact", "differs from the network", partial(splits, suffix=lambda p, i, o: o + 1)),
    ("split is exact", "changed its input", partial(splits, suffix=spoil_input)),
    ("gradients are equal", "only one", partial(splits, suffix=lambda p, i, o: o.detach())),
    ("gradients are equal", "the gradient of", partial(splits, suffix=double_gradient)),
    ("gradients are equal", "no gradient reaches", lambda patch: Silent()),
    ("frozen stays frozen", "first one.2.calls", counts),
    ("frozen stays frozen", "nothing was frozen", partial(freezes, undo)),
    ("frozen stays frozen", "nothing trained", partial(freezes, no_gradient_above)),
    ("frozen stays frozen", "acts by its mode", lambda patch: RandomBelow()),
    ("prefix ignores the mode", "train() changes", partial(freezes, follow_the_mode)),
    ("no gradient work below", "in the frozen part", partial(freezes, undo)),
    ("no gradient work below", "got a gradient", partial(freezes, count_all_as_frozen)),
    ("names and merging", "first stranger", with_another_name),
    ("names and merging", "other outputs", partial(merges, change_a_weight)),
    ("names and merging", "merged into a Another", partial(merges, change_class)),
    ("dropout lives in the suffix", "dropout is dead", partial(splits, suffix=in_eval_mode)),
    ("dropout lives in the suffix", "in eval mode", partial(splits, suffix=drop_always)),
    ("new head trains", "loss went", partial(splits, prefix=lambda p, i, o: o * 0)),
    ("new head trains", "loss went", partial(splits, prefix=lambda p, i, o: o / 0)),
]


@pytest.mark.parametrize(("name", "said", "broken"), CASES)
def test_a_check_fails_where_its_promise_is_broken(
    name: str, said: str, broken: Callable[[Patch], nn.Module], monkeypatch: Patch
) -> None:
    torch.manual_seed(0)
    # the others would take most of the time
    only = [promise for promise in conformance._PROMISES if promise[0] == name]
    monkeypatch.setattr(conformance, "_PROMISES", only)
    result = check(broken(monkeypatch).eval(), torch.randn(2, 3, 16, 16))
    assert not result.passed
    assert list(result.failures) == [name]
    assert said in result.failures[name]


def test_no_check_is_left_out_and_none_fails_without_a_reason() -> None:
    every = {"left alone", "enough cuts", *(name for name, *_ in conformance._PROMISES)}
    assert {name for name, *_ in CASES} == every
    assert check(Sound().eval(), torch.randn(2, 3, 16, 16)).failures == {}
