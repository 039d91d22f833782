"""Eval mode, for a while or for good: locked layers stay in it whatever the network is put into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import fx, nn

#: marks the classes that are made here
_LOCKED = "_frostline_locked"
#: where a locked module remembers the mode that it was last asked for
_ASKED = "_asked_mode"

_locked_classes: dict[type[nn.Module], type[nn.Module]] = {}


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[nn.Module]:
    """Put ``module`` into eval mode, and every layer back into its own mode afterwards."""
    with in_mode(module, False):
        yield module


@contextmanager
def in_mode(module: nn.Module, training: bool) -> Iterator[nn.Module]:
    """Put ``module`` into one mode, and every layer back into its own mode afterwards."""
    modes = {child: child.training for child in module.modules()}
    asked = {child: requested_mode(child) for child in modes}
    module.train(training)
    for child in modes:
        # locked layers too: a trace must show what they do once they are unlocked
        child.training = training
    try:
        yield module
    finally:
        # through train(), so that layers that cache by mode (LeViT) notice; then one by one
        module.train(modes[module])
        for child, mode in modes.items():
            child.training = mode
            request_mode(child, asked[child])


def lock_eval(module: nn.Module) -> None:
    """Put ``module`` into eval mode and keep it there until :func:`unlock`.

    Its children are locked one by one or not at all: a new head put into a locked network trains.
    """
    # a traced graph has its mode built in, and makes a class of its own for every copy
    if is_locked(module) or isinstance(module, fx.GraphModule):
        return
    asked = module.training
    kind = type(module)
    module.__class__ = _locked_class(kind)
    _eval_alone(module, kind)
    module.__dict__[_ASKED] = asked


def unlock(module: nn.Module, *, training: bool = False) -> None:
    """Let ``module`` follow ``train()`` again, and set its mode; what is in it stays locked."""
    if is_locked(module):
        module.__class__ = original_class(module)
        module.training = training
        module.__dict__.pop(_ASKED, None)


def unlock_all(module: nn.Module) -> None:
    """Let ``module`` and everything in it follow ``train()`` again; all stays in eval mode."""
    for child in module.modules():
        unlock(child)


def requested_mode(module: nn.Module) -> bool:
    """The mode that ``module`` would be in if it were not locked."""
    return bool(module.__dict__.get(_ASKED, module.training))


def request_mode(module: nn.Module, asked: bool) -> None:
    """Let a locked module remember a mode; others are in it."""
    if is_locked(module):
        module.__dict__[_ASKED] = asked


def is_locked(module: nn.Module) -> bool:
    """Whether ``train()`` leaves this module in eval mode."""
    return bool(getattr(type(module), _LOCKED, False))


def original_class(module: nn.Module) -> type[nn.Module]:
    """The class of ``module`` as its author knows it, locked or not."""
    kind = type(module)
    if not is_locked(module):
        return kind
    if _LOCKED in kind.__dict__:
        return kind.__bases__[0]
    # somebody made a subclass of the locked class (torch does for parametrisations)
    bases = tuple(b.__bases__[0] if _LOCKED in b.__dict__ else b for b in kind.__bases__)
    body = {k: v for k, v in kind.__dict__.items() if k not in ("__dict__", "__weakref__")}
    return type(kind.__name__, bases, body)


def _locked_class(kind: type[nn.Module]) -> type[nn.Module]:
    if kind not in _locked_classes:
        # same home as the original, so that tracers still treat it as the layer it is
        body = {
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
            "__reduce_ex__": _reduce,
            "train": _train,
            _LOCKED: True,
        }
        _locked_classes[kind] = type(kind.__name__, (kind,), body)
    return _locked_classes[kind]


def _train(self: nn.Module, mode: bool = True) -> nn.Module:
    """Stay in eval mode; pass the mode on to whoever is not locked."""
    self.__dict__[_ASKED] = mode
    _eval_alone(self, original_class(self))
    for child in self.children():
        child.train(mode)
    return self


def _eval_alone(module: nn.Module, kind: type[nn.Module]) -> None:
    """Set eval mode on ``module``; its children are told only if its class has an own way."""
    if kind.train is nn.Module.train:
        module.training = False
    else:
        # some layers forget or fill a cache there
        kind.train(module, False)


def _reduce(self: nn.Module, protocol: Any) -> Any:
    # the locked class exists in this process only; copies are rebuilt from the original one
    del protocol
    return _rebuilt, (original_class(self),), self.__dict__


def _rebuilt(kind: type[nn.Module]) -> nn.Module:
    module: nn.Module = object.__new__(_locked_class(kind))
    return module
