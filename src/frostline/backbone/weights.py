"""Weights are data: load them without executing anything, and fit them onto a network."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from frostline.errors import BackboneError

_NESTED = ("state_dict", "model_state_dict", "model", "state_dict_ema")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from safetensors, or from a PyTorch file with ``weights_only``.

    Raises
    ------
    BackboneError
        If the file is missing, damaged, holds code, or holds no tensors.
    """
    if not path.is_file():
        raise BackboneError(f"Weights file {path} does not exist.")
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, torch.Tensor] = load_file(path)
            return tensors
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        cause = next(iter(str(error).splitlines()), "it is empty")
        raise BackboneError(
            f"Weights file {path} cannot be read as plain weights: {cause}",
            hint="Use a safetensors file, or a state dict saved by torch.save.",
        ) from error
    for key in _NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        raise BackboneError(f"Weights file {path} holds a {type(loaded).__name__}, no state dict.")
    tensors = {str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise BackboneError(f"Weights file {path} holds no tensors.")
    return tensors


def fit_by_name(net: nn.Module, state: Mapping[str, torch.Tensor], *, what: str) -> None:
    """Load ``state`` by name; only the classifier may be missing, other or of another width.

    Raises
    ------
    BackboneError
        Names how many tensors are missing, unknown or of another shape, and the first of each.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    classifier = _classifier_names(net)
    own = net.state_dict()
    missing = [n for n in own if n not in state and not _within(n, classifier)]
    unknown = [n for n in state if n not in own and not _within(n, classifier)]
    shapes = [
        n
        for n in own
        if n in state and own[n].shape != state[n].shape and not _within(n, classifier)
    ]
    problems = []
    for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes)):
        if names:
            problems.append(f"{len(names)} of {len(own)} tensors {label} (first: {names[0]})")
    if problems:
        raise BackboneError(
            f"{what} does not fit the architecture: {'; '.join(problems)}.",
            hint="Give the architecture that these weights were trained with as the backbone.",
        )
    usable = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}
    net.load_state_dict(usable, strict=False)


def fit_in_order(net: nn.Module, state: Mapping[str, torch.Tensor], *, what: str) -> None:
    """Load ``state`` entry by entry, for weights whose names differ but whose order is equal.

    Raises
    ------
    BackboneError
        If the number of entries or any shape differs.
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
    net.load_state_dict(mapped)


def fingerprints(module: nn.Module) -> dict[str, str]:
    """Return the SHA-256 of every parameter and buffer by name; shape and type included."""
    return {name: _digest(tensor) for name, tensor in module.state_dict().items()}


def fingerprint(module: nn.Module, names: Iterable[str] | None = None) -> str:
    """Return one SHA-256 over the names and contents of parameters and buffers.

    ``names`` limits it to some entries of the state dict; None means all.
    """
    wanted = None if names is None else set(names)
    total = hashlib.sha256()
    for name, digest in sorted(fingerprints(module).items()):
        if wanted is None or name in wanted:
            total.update(f"{name}={digest}\n".encode())
    return total.hexdigest()


def _digest(tensor: torch.Tensor) -> str:
    flat = tensor.detach().cpu().contiguous()
    header = f"{flat.dtype}{tuple(flat.shape)}".encode()
    data = flat.reshape(-1).view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return hashlib.sha256(header + data).hexdigest()


def _classifier_names(net: nn.Module) -> tuple[str, ...]:
    config = getattr(net, "pretrained_cfg", None) or {}
    names = config.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)
