"""Freeze and unfreeze layers so that nothing in them can move: values, statistics, mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import fx, nn

from frostline.backbone.weights import fingerprints
from frostline.errors import FrozenChangedError, PatternError, did_you_mean

_frozen_classes: dict[type[nn.Module], type[nn.Module]] = {}


class _StaysInEval(nn.Module):
    """Mixed into a frozen module: a parent's ``train()`` no longer reaches it."""

    def train(self, mode: bool = True) -> _StaysInEval:
        del mode
        super().train(False)
        return self


def freeze(module: nn.Module, patterns: Sequence[str] | None = None) -> list[str]:
    """Freeze parameters, and keep their modules in eval mode through every later ``train()``.

    Parameters
    ----------
    module : Module
    patterns : sequence of str or None, default=None
        Shell patterns (``*``, ``?``, ``[...]``) for names of modules or parameters; a module
        stands for everything below it. None freezes all.

    Returns
    -------
    list of str
        Names of the parameters that are frozen by this call.

    Raises
    ------
    PatternError
        If a pattern matches nothing.
    """
    names = _select(module, patterns)
    for name, parameter in module.named_parameters():
        if name in names:
            parameter.requires_grad_(False)
            # AdamW would still move a parameter whose gradient is zero instead of None
            parameter.grad = None
    for child in _modules_within(module, names):
        _hold_in_eval(child)
    return [name for name, _ in module.named_parameters() if name in names]


def unfreeze(module: nn.Module, patterns: Sequence[str] | None = None) -> list[str]:
    """Undo :func:`freeze` for the same kind of patterns; modes follow the next ``train()``."""
    names = _select(module, patterns)
    for name, parameter in module.named_parameters():
        if name in names and parameter.is_floating_point():
            parameter.requires_grad_(True)
    for child in _modules_within(module, names):
        if isinstance(child, _StaysInEval):
            child.__class__ = type(child).__mro__[2]
    return [name for name, _ in module.named_parameters() if name in names]


def hold_norms_in_eval(module: nn.Module) -> None:
    """Keep every norm layer at its stored statistics; its weights may still train."""
    for child in module.modules():
        if is_norm(child):
            _hold_in_eval(child)


def is_norm(module: nn.Module) -> bool:
    """Whether ``module`` normalises by statistics that change with its mode."""
    return isinstance(module, nn.modules.batchnorm._NormBase)


def is_frozen_in_eval(module: nn.Module) -> bool:
    """Whether ``train()`` leaves this module in eval mode."""
    return isinstance(module, _StaysInEval)


def frozen_names(module: nn.Module) -> list[str]:
    """Names of everything in the state dict that training must not change.

    These are the parameters without gradient and the buffers of modules held in eval mode.
    """
    frozen = {n for n, p in module.named_parameters() if not p.requires_grad}
    for path, child in module.named_modules():
        if is_frozen_in_eval(child):
            for name, _ in child.named_buffers(recurse=False):
                frozen.add(f"{path}.{name}" if path else name)
    return [name for name in module.state_dict() if name in frozen]


def frozen_fingerprints(module: nn.Module) -> dict[str, str]:
    """SHA-256 of everything that :func:`frozen_names` lists."""
    names = set(frozen_names(module))
    return {name: digest for name, digest in fingerprints(module).items() if name in names}


def verify_frozen(module: nn.Module, before: dict[str, str]) -> None:
    """Compare frozen tensors with their fingerprints from before.

    Raises
    ------
    FrozenChangedError
        Names the first tensors that are not bit-identical.
    """
    after = fingerprints(module)
    changed = [name for name, digest in before.items() if after.get(name) != digest]
    if changed:
        raise FrozenChangedError(
            f"{len(changed)} frozen tensors changed during training: {', '.join(changed[:5])}."
        )


def _select(module: nn.Module, patterns: Sequence[str] | None) -> set[str]:
    parameters = [name for name, _ in module.named_parameters()]
    if patterns is None:
        return set(parameters)
    modules = [name for name, _ in module.named_modules() if name]
    chosen: set[str] = set()
    for pattern in patterns:
        below = tuple(f"{name}." for name in modules if fnmatchcase(name, pattern))
        hits = {n for n in parameters if fnmatchcase(n, pattern) or n.startswith(below)}
        if not hits and not below:
            raise PatternError(
                f"The pattern {pattern!r} matches no layer.",
                hint=did_you_mean(pattern, modules) or f"Top layers: {_top(modules)}.",
            )
        chosen |= hits
    return chosen


def _modules_within(module: nn.Module, parameters: set[str]) -> Iterable[nn.Module]:
    """Modules whose parameters are all chosen, and parameterless ones among such siblings."""
    for path, child in module.named_modules():
        if isinstance(child, fx.GraphModule) or type(child) in (nn.Module, nn.Sequential):
            continue
        own = [f"{path}.{name}" if path else name for name, _ in child.named_parameters()]
        if own:
            if all(name in parameters for name in own):
                yield child
        elif _surrounding_is_chosen(module, path, parameters):
            yield child


def _surrounding_is_chosen(root: nn.Module, path: str, parameters: set[str]) -> bool:
    """Whether the nearest ancestor with parameters has all of them chosen."""
    while path:
        path = path.rpartition(".")[0]
        names = [n for n, _ in root.get_submodule(path).named_parameters()]
        if names:
            return all((f"{path}.{n}" if path else n) in parameters for n in names)
    return False


def _hold_in_eval(module: nn.Module) -> None:
    if isinstance(module, _StaysInEval):
        return
    kind = type(module)
    if kind not in _frozen_classes:
        # same home as the original, so that tracers still treat it as the layer it is
        body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        _frozen_classes[kind] = type(kind.__name__, (_StaysInEval, kind), body)
    module.__class__ = _frozen_classes[kind]
    module.eval()


def _top(modules: list[str]) -> str:
    return ", ".join(name for name in modules if "." not in name)


def trainable_parameters(module: nn.Module) -> list[torch.nn.Parameter]:
    """Parameters that receive gradients, in order."""
    return [p for p in module.parameters() if p.requires_grad]
