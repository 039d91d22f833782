"""The names in a checkpoint, brought to those of a network: wrappers and prefixes taken off."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from frostline.core.errors import BackboneError

#: what torch.compile, DataParallel and FSDP put between the names of modules
_WRAPPERS = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"))
#: words in the names of networks that learn together: the lower number is the one to take
_RANKS = {
    **dict.fromkeys(("ema", "averaged", "swa", "teacher"), 0),
    **dict.fromkeys(("q", "query", "base", "online"), 1),
    **dict.fromkeys(("k", "key", "momentum", "target", "student"), 3),
}
_PLAIN_RANK = 2
#: a smaller share of a network's names says nothing about where it lies in a file
_ENOUGH = 0.5
#: how torchvision wrote the layers of a DenseNet before 2017
_OLD_DENSE = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


@dataclass(frozen=True)
class Named:
    """Tensors under the names of a network.

    ``outside``: names in the file that lie beside the network. ``notes``: what was done to the
    names.
    """

    tensors: dict[str, torch.Tensor]
    outside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def bring_home(
    state: Mapping[str, torch.Tensor], net: nn.Module, names: Collection[str], *, what: str
) -> Named:
    """Find where in ``state`` the network lies, by what fits its own names.

    Raises BackboneError if several networks in ``state`` fit, and their names do not say which is
    meant.

    ``names``: those of the network that count; its old classifier is not among them. ``what``: for
    messages.
    """
    own = frozenset(names)
    tensors, notes = _unwrapped(state, own)
    counts: Counter[str] = Counter()
    for key in tensors:
        parts = key.split(".")
        for i in range(len(parts)):
            if ".".join(parts[i:]) in own:
                counts["".join(f"{part}." for part in parts[:i])] += 1
    most = max(counts.values(), default=0)
    if most < _ENOUGH * len(own):
        return _by_position(tensors, net, own, notes) or Named(tensors, notes=tuple(notes))
    fitting = [prefix for prefix, count in counts.items() if count == most]
    prefix = "" if "" in fitting else _chosen(fitting, what, notes)
    if not prefix:
        return Named(tensors, notes=tuple(notes))
    notes.append(f"{prefix!r} was taken off the names")
    inside = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    outside = tuple(k for k in tensors if not k.startswith(prefix))
    return Named(inside, outside, tuple(notes))


def common_prefix(names: Collection[str]) -> str:
    """Return the modules that every name begins with, with the dot behind; empty for none."""
    first, *others = (name.split(".")[:-1] for name in names)
    shared: list[str] = []
    for i, part in enumerate(first):
        if not all(len(other) > i and other[i] == part for other in others):
            break
        shared.append(f"{part}.")
    return "".join(shared)


def modern_dense(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a DenseNet's weights under the names that torchvision uses today."""
    return {_OLD_DENSE.sub(r"\1\2", name): tensor for name, tensor in state.items()}


def _unwrapped(
    state: Mapping[str, torch.Tensor], own: frozenset[str]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Take wrappers out of the names, wherever they stand."""
    wrappers = _WRAPPERS - {part for name in own for part in name.split(".")}
    found: dict[str, torch.Tensor] = {}
    gone: set[str] = set()
    for name, tensor in state.items():
        parts = name.split(".")
        kept = ".".join(part for part in parts if part not in wrappers)
        gone.update(part for part in parts if part in wrappers)
        found[kept] = tensor
    if not gone or len(found) != len(state):
        return dict(state), []
    named = " and ".join(repr(f"{part}.") for part in sorted(gone))
    return found, [f"{named} {'was' if len(gone) == 1 else 'were'} taken out of the names"]


def _chosen(fitting: list[str], what: str, notes: list[str]) -> str:
    """Choose among networks that fit equally well, by what their names say about them."""
    ranked = sorted(fitting, key=_rank)
    if len(ranked) > 1:
        if _rank(ranked[0]) == _rank(ranked[1]):
            named = " and ".join(repr(prefix) for prefix in ranked[:4])
            raise BackboneError(
                f"{what} holds {len(ranked)} networks that fit equally well, below {named}.",
                hint="Save one of them: {name: tensor for name, tensor in state.items() "
                f"if name.startswith({ranked[0]!r})}}.",
            )
        others = ", ".join(repr(prefix) for prefix in ranked[1:])
        notes.append(f"it holds {len(ranked)} networks: {ranked[0]!r} was taken, not {others}")
    return ranked[0]


def _rank(prefix: str) -> int:
    words = re.split(r"[._]", prefix)
    return min((_RANKS[w] for w in words if w in _RANKS), default=_PLAIN_RANK)


def _by_position(
    tensors: dict[str, torch.Tensor], net: nn.Module, own: frozenset[str], notes: list[str]
) -> Named | None:
    """Read names that count the children: ``nn.Sequential(*network.children())``."""
    children = [name for name, _ in net.named_children()]
    found: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        parts = key.split(".")
        place = next((i for i, part in enumerate(parts) if part.isdecimal()), None)
        if place is None or int(parts[place][:6]) >= len(children):
            continue
        name = ".".join([children[int(parts[place])], *parts[place + 1 :]])
        found.setdefault("".join(f"{p}." for p in parts[:place]), {})[name] = tensor
    if not found:
        return None
    prefix = max(found, key=lambda p: len(own & found[p].keys()))
    inside = found[prefix]
    if len(own & inside.keys()) < _ENOUGH * len(own):
        return None
    outside = tuple(k for k in tensors if not k.startswith(prefix))
    said = f"names that count the network's children ('{prefix}0.') were read by their order"
    return Named(inside, outside, (*notes, said))
