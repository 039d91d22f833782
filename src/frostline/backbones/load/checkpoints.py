"""Checkpoints: which of the things that a training script saved are the weights to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from frostline.backbones.load.stand_ins import PassedOver
from frostline.core.errors import BackboneError

#: running averages of the weights, which predict better than the last step: timm takes them too
_AVERAGED = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "model_ema_state_dict",
    "ema_model",
    "ema",
)
#: of two networks that teach each other, the one that their authors evaluate
_TAUGHT = {
    "teacher": "student",
    "online_network_state_dict": "target_network_state_dict",
    "online_network": "target_network",
    "target_encoder": "encoder",
}
_PLAIN = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "backbone",
    "encoder",
    "student",
    "shadow",
)
#: what is saved beside weights and holds tensors of its own
_NOT_WEIGHTS = ("optim", "sched", "scaler", "callback", "loop", "loss", "amp", "rng", "random")
_DEEPEST = 5


@dataclass(frozen=True)
class Checkpoint:
    """Weights by name, and what was chosen or left in their file.

    ``notes``: empty where there was nothing else that could have been meant.
    """

    tensors: dict[str, torch.Tensor]
    notes: tuple[str, ...] = ()


def weights_in(loaded: object, *, what: str) -> Checkpoint:
    """Find the state dict in what a file holds.

    Running averages (EMA) come before raw weights, a teacher before its student; that something was
    chosen is said. Raises BackboneError if it holds no tensors with names, or several state dicts
    of which none is known to be the one.

    ``loaded``: as a reader gave it. ``what``: for messages.
    """
    notes: list[str] = []
    path: list[str] = []
    while isinstance(loaded, Mapping) and len(path) < _DEEPEST:
        key = _next_key(loaded, what, path, notes)
        if key is None:
            break
        path.append(key)
        loaded = loaded[key]
    if isinstance(loaded, nn.Module):
        loaded = loaded.state_dict()
    where = f" under {'.'.join(path)!r}" if path else ""
    if not isinstance(loaded, Mapping):
        raise BackboneError(
            f"{what} holds a {type(loaded).__name__}{where}, no state dict.",
            hint="Save the weights by name: torch.save(model.state_dict(), 'weights.pth').",
        )
    tensors = {str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise BackboneError(f"{what} holds no tensors{where}{_instead(loaded)}.")
    return Checkpoint(tensors, tuple(notes))


def _next_key(found: Mapping[Any, Any], what: str, path: list[str], notes: list[str]) -> str | None:
    """Return the key under which the weights lie; None where this is the state dict itself."""
    inner = [k for k in found if isinstance(k, str) and _has_tensors(found[k])]
    averaged = next((key for key in _AVERAGED if key in inner), None)
    raw = next((key for key in _PLAIN if key in inner), None)
    if averaged is not None:
        if raw is not None:
            notes.append(
                f"{what} holds weights and their running average: the average "
                f"({averaged!r}) was taken, not {raw!r}"
            )
        else:
            notes.append(f"{what} holds a running average of weights ({averaged!r})")
        return averaged
    for taken, other in _TAUGHT.items():
        if taken in inner:
            if other in inner:
                notes.append(f"{what} holds two networks: {taken!r} was taken, not {other!r}")
            return taken
    if raw is not None:
        for key in _AVERAGED:
            if found.get(key):
                notes.append(f"{what}: {key!r} has no tensors with names, so {raw!r} was taken")
        return raw
    if any(isinstance(value, torch.Tensor) for value in found.values()):
        return None
    weights = [k for k in inner if not any(word in k.lower() for word in _NOT_WEIGHTS)]
    if len(weights) > 1:
        named = ", ".join(map(repr, weights[:5]))
        raise BackboneError(
            f"{what} holds {len(weights)} state dicts ({named}), and nothing says which is meant.",
            hint=f"Save one: torch.save(torch.load(FILE)[{weights[0]!r}], 'weights.pth').",
        )
    if weights:
        notes.append(f"{what}: the weights lie under {'.'.join([*path, weights[0]])!r}")
        return weights[0]
    return None


def _has_tensors(value: object, depth: int = 0) -> bool:
    """Whether tensors with names lie in something, at any depth that checkpoints have."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return False
    return any(
        (isinstance(inner, torch.Tensor) and isinstance(key, str)) or _has_tensors(inner, depth + 1)
        for key, inner in value.items()
    )


def _instead(loaded: Mapping[Any, Any]) -> str:
    """Say what there is in place of tensors."""
    if not loaded:
        return ": it is empty"
    if all(isinstance(value, PassedOver) for value in loaded.values()):
        return ", but NumPy's or Python's objects, which are not read"
    empty = next((key for key in (*_AVERAGED, *_PLAIN) if loaded.get(key) == {}), None)
    if empty is not None:
        return f": its {empty!r} is empty"
    named = ", ".join(repr(str(key)[:40]) for key in list(loaded)[:4])
    return f", but {named}"
