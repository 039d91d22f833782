"""The tensors of a network: loaded in order, fingerprinted, and which of them classify."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from frostline.backbones.tensor_digests import combined_digest, tensor_digest
from frostline.core.errors import BackboneError


def fit_in_order(net: nn.Module, state: Mapping[str, torch.Tensor], *, what: str) -> None:
    """Load ``state`` entry by entry, for weights whose names differ but whose order is equal.

    Raises BackboneError if the number of entries or any shape differs.
    """
    own = net.state_dict()
    if len(own) != len(state):
        raise BackboneError(f"{what} has {len(state)} tensors, the network {len(own)}.")
    mapped: dict[str, torch.Tensor] = {}
    for (name, mine), (foreign, theirs) in zip(own.items(), state.items(), strict=True):
        if mine.shape != theirs.shape:
            raise BackboneError(
                f"{what}: {foreign} has shape {tuple(theirs.shape)}, "
                f"but {name} needs {tuple(mine.shape)}."
            )
        mapped[name] = theirs
    net.load_state_dict(versioned(net, mapped))


def versioned(net: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return ``state`` with the versions of layers that ``net`` writes, which some ask for."""
    known = OrderedDict(state)
    # where torch keeps them; a plain dict of tensors has none
    known._metadata = net.state_dict()._metadata  # type: ignore[attr-defined]
    return known


def fingerprints(module: nn.Module) -> dict[str, str]:
    """Return the SHA-256 of every parameter and buffer by name; shape and type included."""
    return {name: _digest(tensor) for name, tensor in module.state_dict().items()}


def fingerprint(module: nn.Module, names: Iterable[str] | None = None) -> str:
    """Return one SHA-256 over the names and contents of parameters and buffers.

    ``names`` limits it to some entries of the state dict; None means all.
    """
    wanted = None if names is None else set(names)
    found = fingerprints(module)
    return combined_digest({n: d for n, d in found.items() if wanted is None or n in wanted})


def _digest(tensor: torch.Tensor | object) -> str:
    if not isinstance(tensor, torch.Tensor):
        # extra state that a module keeps beside its tensors
        return hashlib.sha256(repr(tensor).encode()).hexdigest()
    flat = tensor.detach().cpu().contiguous()
    data = flat.reshape(-1).view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return tensor_digest(str(flat.dtype), tuple(flat.shape), data)


def classifier_names(net: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that give the old task's logits, whatever they are called."""
    config = getattr(net, "pretrained_cfg", None) or {}
    names = config.get("classifier") or ()
    if names:
        given = (names,) if isinstance(names, str) else tuple(names)
        return tuple(dict.fromkeys(_as_it_stands(net, name) for name in given))
    layers = [n for n, m in net.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    # without a word from the library: the last layer with weights, as every one declares it
    return (layers[-1],) if layers else ()


def _as_it_stands(net: nn.Module, name: str) -> str:
    """Return the path of a layer, or of the single layer that it was merged into."""
    modules = dict(net.named_modules())
    path = name
    while path and path not in modules:
        path = path.rpartition(".")[0]
    return path if path and not any(modules[path].children()) else name


def within(name: str, modules: tuple[str, ...]) -> bool:
    """Whether a tensor or module lies in one of ``modules``."""
    return any(name == module or name.startswith(module + ".") for module in modules)
