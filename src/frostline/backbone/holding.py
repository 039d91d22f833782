"""Hold layers in eval mode, whatever mode the network around them is put into."""

from __future__ import annotations

from typing import Any

from torch import nn

#: where a held module remembers the mode that it was last asked for
_ASKED = "_asked_mode"

_held_classes: dict[type[nn.Module], type[nn.Module]] = {}


class _StaysInEval(nn.Module):
    """Mixed into a held module: a parent's ``train()`` no longer reaches it."""

    def train(self, mode: bool = True) -> _StaysInEval:
        self.__dict__[_ASKED] = mode
        super().train(False)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        # the held class exists in this process only; copies are rebuilt from the original one
        del protocol
        return _rebuilt, (original_class(self),), self.__dict__


def hold(module: nn.Module) -> None:
    """Put ``module`` into eval mode and keep it there until :func:`release`."""
    if isinstance(module, _StaysInEval):
        return
    asked = module.training
    module.__class__ = _held_class(type(module))
    module.eval()
    module.__dict__[_ASKED] = asked


def release(module: nn.Module, *, training: bool = False) -> None:
    """Let ``module`` follow ``train()`` again, and set its mode; what is in it stays held."""
    if isinstance(module, _StaysInEval):
        module.__class__ = original_class(module)  # type: ignore[assignment]
        module.training = training
        module.__dict__.pop(_ASKED, None)


def release_all(module: nn.Module) -> None:
    """Let ``module`` and everything in it follow ``train()`` again; all stays in eval mode."""
    for child in module.modules():
        release(child)


def asked_mode(module: nn.Module) -> bool:
    """The mode that ``module`` would be in if it were not held."""
    return bool(module.__dict__.get(_ASKED, module.training))


def is_held(module: nn.Module) -> bool:
    """Whether ``train()`` leaves this module in eval mode."""
    return isinstance(module, _StaysInEval)


def _held_class(kind: type[nn.Module]) -> type[nn.Module]:
    if kind not in _held_classes:
        # same home as the original, so that tracers still treat it as the layer it is
        body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        _held_classes[kind] = type(kind.__name__, (_StaysInEval, kind), body)
    return _held_classes[kind]


def original_class(module: nn.Module) -> type[nn.Module]:
    """The class of ``module`` as its author knows it, held or not."""
    kind = type(module)
    return kind.__mro__[2] if issubclass(kind, _StaysInEval) else kind


def _rebuilt(kind: type[nn.Module]) -> nn.Module:
    held = _held_class(kind)
    module: nn.Module = held.__new__(held)
    return module
