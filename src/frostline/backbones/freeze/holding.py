"""Hold layers in eval mode, whatever mode the network around them is put into."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

#: marks the classes that are made here
_HELD = "_frostline_held"
#: where a held module remembers the mode that it was last asked for
_ASKED = "_asked_mode"

_held_classes: dict[type[nn.Module], type[nn.Module]] = {}


def hold(module: nn.Module) -> None:
    """Put ``module`` into eval mode and keep it there until :func:`release`.

    Its children are held one by one or not at all: a new head put into a held network trains.
    """
    # a traced graph has its mode built in, and makes a class of its own for every copy
    if is_held(module) or isinstance(module, fx.GraphModule):
        return
    asked = module.training
    kind = type(module)
    module.__class__ = _held_class(kind)
    _eval_alone(module, kind)
    module.__dict__[_ASKED] = asked


def release(module: nn.Module, *, training: bool = False) -> None:
    """Let ``module`` follow ``train()`` again, and set its mode; what is in it stays held."""
    if is_held(module):
        module.__class__ = original_class(module)
        module.training = training
        module.__dict__.pop(_ASKED, None)


def release_all(module: nn.Module) -> None:
    """Let ``module`` and everything in it follow ``train()`` again; all stays in eval mode."""
    for child in module.modules():
        release(child)


def asked_mode(module: nn.Module) -> bool:
    """The mode that ``module`` would be in if it were not held."""
    return bool(module.__dict__.get(_ASKED, module.training))


def ask_mode(module: nn.Module, asked: bool) -> None:
    """Let a held module remember a mode; others are in it."""
    if is_held(module):
        module.__dict__[_ASKED] = asked


def is_held(module: nn.Module) -> bool:
    """Whether ``train()`` leaves this module in eval mode."""
    return bool(getattr(type(module), _HELD, False))


def original_class(module: nn.Module) -> type[nn.Module]:
    """The class of ``module`` as its author knows it, held or not."""
    kind = type(module)
    if not is_held(module):
        return kind
    if _HELD in kind.__dict__:
        return kind.__bases__[0]
    # somebody made a subclass of the held class (torch does for parametrisations)
    bases = tuple(b.__bases__[0] if _HELD in b.__dict__ else b for b in kind.__bases__)
    body = {k: v for k, v in kind.__dict__.items() if k not in ("__dict__", "__weakref__")}
    return type(kind.__name__, bases, body)


def _held_class(kind: type[nn.Module]) -> type[nn.Module]:
    if kind not in _held_classes:
        # same home as the original, so that tracers still treat it as the layer it is
        body = {
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
            "__reduce_ex__": _reduce,
            "train": _train,
            _HELD: True,
        }
        _held_classes[kind] = type(kind.__name__, (kind,), body)
    return _held_classes[kind]


def _train(self: nn.Module, mode: bool = True) -> nn.Module:
    """Stay in eval mode; pass the mode on to whoever is not held."""
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
    # the held class exists in this process only; copies are rebuilt from the original one
    del protocol
    return _rebuilt, (original_class(self),), self.__dict__


def _rebuilt(kind: type[nn.Module]) -> nn.Module:
    held = _held_class(kind)
    module: nn.Module = object.__new__(held)
    return module
