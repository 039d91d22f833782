"""Check on any network that cutting and freezing keep their promises."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from frostline.backbones.fingerprints import fingerprint, fingerprints
from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.freeze.freezing import freeze, frozen_fingerprints
from frostline.backbones.graph.tracer import FORWARD_ERRORS
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.network import Network
from frostline.core.cuts import Cut
from frostline.core.errors import FrostlineError

#: fewer cuts than this leave nothing to choose from
MIN_CUTS = 3

_STEPS = 3


@dataclass(frozen=True)
class Conformance:
    """Which promises hold for one network.

    ``cuts``: number of cuts at ends of stages and blocks. ``failures``: broken promises, each with
    what was found; empty when all hold. ``error``: why the network could not be cut at all; empty
    otherwise.
    """

    cuts: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether every promise holds."""
        return not self.failures and not self.error


def random_images(n: int, shape: Sequence[int]) -> torch.Tensor:
    """Return n images of noise of shape (channels, height, width), the same every time."""
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


def check(module: nn.Module, example: torch.Tensor) -> Conformance:
    """Cut, freeze and train copies of ``module`` and compare each with the uncut network.

    ``module``: stays as it is. ``example``: shape (n, channels, height, width).
    """
    before = fingerprint(module)
    modes = [child.training for child in module.modules()]
    try:
        network = Network.load(module, example=example)
    except FrostlineError as error:
        return Conformance(error=str(error))
    failures: dict[str, str] = {}
    if fingerprint(module) != before or modes != [m.training for m in module.modules()]:
        failures["left alone"] = "loading changed weights, statistics or modes"
    if len(network.cuts) < MIN_CUTS:
        failures["enough cuts"] = f"only {len(network.cuts)}"
    first, middle, last = chosen_cuts(network)
    for name, promise, everywhere in _PROMISES:
        chosen = (first, middle, last) if everywhere else (middle,)
        try:
            found = promise(copy.deepcopy(module), example, chosen)
        except (FrostlineError, *FORWARD_ERRORS) as error:
            found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if found:
            failures[name] = found
    return Conformance(cuts=len(network.cuts), failures=failures)


def chosen_cuts(network: Network) -> tuple[Cut, Cut, Cut]:
    """The first cut, the one that divides the work most evenly, and the deepest feature map."""
    middle = min(network.feature_cuts, key=lambda cut: abs(cut.depth - 0.5))
    return network.cuts[0], middle, network.last


def _split_is_exact(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    network = Network.load(module, example=x)
    with eval_mode(module), torch.no_grad():
        whole = module(x.clone())
        for cut in cuts:
            prefix, suffix = (part.eval() for part in network.split(cut.name))
            passing = prefix(x.clone())
            if tuple(passing.shape[1:]) != cut.shape:
                return f"shape {tuple(passing.shape[1:])} at {cut.name}, not {cut.shape}"
            kept = passing.clone()
            if not _equal(suffix(passing), whole):
                return f"suffix(prefix(x)) at {cut.name} differs from the network"
            if not torch.equal(passing, kept):
                return f"the suffix after {cut.name} changed its input"
    return ""


def _gradients_are_equal(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    # a copy for the uncut network: some layers keep what they computed in eval mode
    uncut = copy.deepcopy(module).eval()
    torch.autograd.backward(_loss(uncut(x.clone())))
    expected = {n: p.grad for n, p in uncut.named_parameters(remove_duplicate=False)}
    network = Network.load(module, example=x)
    for cut in cuts:
        said = _compared(_suffix_gradients(network, cut, x), expected, network, cut)
        if said:
            return f"{said} after {cut.name}"
    return ""


Gradients = dict[str, torch.Tensor | None]


def _suffix_gradients(network: Network, cut: Cut, x: torch.Tensor) -> Gradients:
    module = network.module
    # through train(), so that layers forget what they kept for the last cut
    module.train()
    module.zero_grad(set_to_none=True)
    prefix, suffix = network.split(cut.name)
    with eval_mode(module):
        with torch.no_grad():
            passing = prefix.eval()(x.clone())
        loss = _loss(suffix.eval()(passing))
        if loss.requires_grad:
            torch.autograd.backward(loss)
    return {n: p.grad for n, p in suffix.named_parameters()}


def _compared(found: Gradients, expected: Gradients, network: Network, cut: Cut) -> str:
    largest = max((float(g.abs().max()) for g in expected.values() if g is not None), default=0.0)
    tied = _tied(network, cut)
    for name, gradient in found.items():
        wanted = expected[name]
        if name in tied or (gradient is None and wanted is None):
            continue
        if gradient is None or wanted is None:
            return f"only one of both gives {name} a gradient"
        if not _close(gradient, wanted, largest):
            return f"the gradient of {name} differs"
    used = [g for g in found.values() if g is not None]
    if used and not any(bool(g.abs().max() > 0) for g in used):
        return "no gradient reaches the suffix"
    return ""


def _frozen_stays(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    (cut,) = cuts
    freeze(module, upto=cut.name, example=x)
    before = frozen_fingerprints(module)
    everything = fingerprints(module)
    # all parameters, as a careless user would: frozen ones must not move even then
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.1)
    module.train()
    for _ in range(_STEPS):
        optimizer.zero_grad()
        torch.autograd.backward(_loss(module(x.clone())))
        optimizer.step()
    after = fingerprints(module)
    moved = [name for name, digest in before.items() if after[name] != digest]
    if moved:
        return f"{len(moved)} frozen tensors moved, first {moved[0]}"
    if not before:
        return "nothing was frozen"
    rest = [p for p in module.parameters() if p.requires_grad]
    if rest and after == everything:
        return "nothing trained"
    return ""


def _prefix_ignores_mode(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    (cut,) = cuts
    freeze(module, upto=cut.name, example=x)
    prefix, _ = Network.load(module, example=x).split(cut.name)
    with torch.no_grad():
        evaluated = prefix.eval()(x.clone())
        module.train()
        trained = prefix.train()(x.clone())
    return "" if torch.equal(evaluated, trained) else "train() changes what frozen layers give"


def _no_graph_below(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    (cut,) = cuts
    report = freeze(module, upto=cut.name, example=x)
    prefix, _ = Network.load(module, example=x).split(cut.name)
    module.train()
    if prefix(x.clone()).requires_grad:
        return "gradients are computed in the frozen part"
    torch.autograd.backward(_loss(module(x.clone())))
    parameters = dict(module.named_parameters())
    paid = [name for name in report.frozen if parameters[name].grad is not None]
    return f"{paid[0]} got a gradient" if paid else ""


def _merges(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    (cut,) = cuts
    network = Network.load(module, example=x)
    prefix, suffix = network.split(cut.name)
    names = set(prefix.state_dict()) | set(suffix.state_dict())
    if names != set(module.state_dict()):
        odd = names ^ set(module.state_dict())
        return f"{len(odd)} names differ, first {min(odd)}"
    with torch.no_grad():
        for parameter in suffix.parameters():
            if parameter.is_floating_point():
                parameter.mul_(1.01)
    merged = network.merge(copy.deepcopy(prefix), copy.deepcopy(suffix))
    fresh = copy.deepcopy(module)
    fresh.load_state_dict(merged.state_dict(), strict=True)
    with eval_mode(fresh), eval_mode(merged), eval_mode(module), torch.no_grad():
        wanted = module(x.clone())
        if not _equal(merged(x.clone()), wanted) or not _equal(fresh(x.clone()), wanted):
            return "the merged network gives other outputs"
    return "" if type(merged) is type(module) else f"merged into a {type(merged).__name__}"


def _dropout_lives(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    (cut,) = cuts
    network = Network.load(module, example=x)
    prefix, suffix = network.split(cut.name)
    with torch.no_grad(), eval_mode(prefix):
        passing = prefix(x.clone())
    with torch.no_grad():
        module.train()
        suffix.train()
        randomness = _random_after(suffix, passing)
        if not randomness:
            # only a network that is random itself must stay so
            return "" if not _random_after(module, x) or _quiet(network, cut) else "dropout is dead"
        module.eval()
        suffix.eval()
        if _random_after(suffix, passing):
            return "dropout acts in eval mode"
    return ""


def _new_head_trains(module: nn.Module, x: torch.Tensor, cuts: Sequence[Cut]) -> str:
    (cut,) = cuts
    prefix, _ = Network.load(module, example=x).split(cut.name)
    freeze(prefix)
    prefix.train()
    with torch.no_grad():
        features = pooled(prefix(x.clone()), cut.layout, cut.tokens).float()
    torch.manual_seed(0)
    # random deep networks hardly tell images apart: the head sees the difference alone
    features = (features - features.mean(dim=0)) / features.std(dim=0).mean().clamp(min=1e-30)
    # without a bias, which would learn from no feature at all
    head = nn.Linear(cut.pooled_width, 2, bias=False)
    target = torch.arange(len(x)) % 2
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        loss = functional.cross_entropy(head(features), target)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return "" if losses[-1] < losses[0] else f"loss went from {losses[0]:.3f} to {losses[-1]:.3f}"


Promise = Callable[[nn.Module, torch.Tensor, Sequence[Cut]], str]
#: with their names, and whether they are tried at the first, middle and last cut or in the middle
_PROMISES: tuple[tuple[str, Promise, bool], ...] = (
    ("split is exact", _split_is_exact, True),
    ("gradients are equal", _gradients_are_equal, True),
    ("frozen stays frozen", _frozen_stays, False),
    ("prefix ignores the mode", _prefix_ignores_mode, False),
    ("no gradient work below", _no_graph_below, False),
    ("names and merging", _merges, False),
    ("dropout lives in the suffix", _dropout_lives, False),
    ("new head trains", _new_head_trains, False),
)


def _loss(output: Any) -> torch.Tensor:
    tensors = [t for t in pytree.tree_leaves(output) if isinstance(t, torch.Tensor)]
    # weights that differ by place: a plain sum of normalised values has no gradient
    return torch.stack([(t * _ramp(t)).sum() for t in tensors if t.is_floating_point()]).sum()


def _ramp(t: torch.Tensor) -> torch.Tensor:
    return torch.linspace(-1, 1, t.numel()).cos().reshape(t.shape)


def _equal(a: Any, b: Any) -> bool:
    one, other = pytree.tree_leaves(a), pytree.tree_leaves(b)
    return len(one) == len(other) and all(
        torch.equal(x, y) for x, y in zip(one, other, strict=True) if isinstance(x, torch.Tensor)
    )


def _close(a: torch.Tensor, b: torch.Tensor, largest: float) -> bool:
    # some gradients are zero in theory (a bias before softmax) and noise in practice
    allowed = 1e-4 * float(b.abs().max()) + 1e-6 * largest
    return bool((a - b).abs().max() <= allowed)


def _tied(network: Network, cut: Cut) -> set[str]:
    """Names of tensors that both sides use: each side knows its own share of their gradient."""
    before, after = network.tensors_before(cut.name)
    both = before & after
    below = tuple(f"{name}." for name in both)
    names = dict(network.module.named_parameters(remove_duplicate=False))
    return {name for name in names if name in both or name.startswith(below)}


def _random_after(part: nn.Module, x: torch.Tensor) -> bool:
    outputs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        outputs.append(part(x.clone()))
    return not _equal(*outputs)


def _quiet(network: Network, cut: Cut) -> bool:
    """Whether all randomness lies before the cut: the network with a held prefix repeats itself."""
    module = copy.deepcopy(network.module)
    x = torch.randn(2, *network.example_shape[1:])
    freeze(module, upto=cut.name, example=x)
    module.train()
    return not _random_after(module, x)
