"""Optimiser groups: one rate per stage, decaying with depth; frozen parameters in none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from frostline.backbones.freeze.eval_mode import original_class
from frostline.backbones.layer_kinds import is_norm
from frostline.core.aliases import PARAM_GROUPS, takes_old_names
from frostline.core.errors import BackboneError

#: containers with more than this share of all tensors are trunks, if there are few of them
_NOTABLE_SHARE = 0.1
_MOST_TRUNKS = 2
_NO_DECAY = " (no decay)"


@takes_old_names(PARAM_GROUPS)
def param_groups(
    module: nn.Module,
    *,
    lr: float,
    layer_decay: float = 1.0,
    weight_decay: float = 0.0,
    stages: Sequence[str] | None = None,
    head: Sequence[str] = ("head", "new"),
    head_lr: float | None = None,
) -> list[dict[str, Any]]:
    """Put every trainable parameter into exactly one named group.

    The rates are plain ``lr`` values, so every scheduler of torch respects them.

    Parameters
    ----------
    module : Module
    lr : float
        Learning rate of the deepest stage; each stage further down has ``layer_decay`` times the
        rate of the one above it.
    layer_decay : float in (0, 1], default=1.0
    weight_decay : float, default=0.0
        Not applied to biases, to the weights of norm layers, to scales of one value a channel,
        and to what the network itself exempts (``no_weight_decay()`` of timm).
    stages : sequence of str or None, default=None
        Names of submodules from the input to the output; a parameter belongs to the stage
        that its name lies below, one of no stage to the first. None takes the top-level modules,
        the largest container replaced by its children.
    head : sequence of str, default=("head", "new")
        Submodules that are new; they train at ``head_lr``.
    head_lr : float or None, default=None
        None means ``lr``.

    Returns
    -------
    list of dict
        For any torch optimiser: ``params``, ``lr``, ``weight_decay``; also ``name`` and
        ``param_names``. Empty groups are left out.
    """
    if stages is None:
        stages = [stage for stage in module_stages(module) if not _below(stage, head)]
    deepest = max(len(stages) - 1, 0)
    exempt = _exempt(module)
    found: dict[str, dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        if _below(name, head):
            label, rate = "head", lr if head_lr is None else head_lr
        else:
            place = next((i for i, s in enumerate(stages) if _below(name, (s,))), 0)
            label = stages[place] if stages else "network"
            rate = lr * layer_decay ** (deepest - place)
        decays = name not in exempt
        key = label if decays else f"{label}{_NO_DECAY}"
        group = found.setdefault(
            key,
            {
                "name": key,
                "params": [],
                "param_names": [],
                "lr": rate,
                "weight_decay": weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
        group["param_names"].append(name)
    return list(found.values())


def module_stages(module: nn.Module) -> list[str]:
    """Names of the top-level modules with parameters, one or two large containers opened."""
    total = len(list(module.parameters())) or 1
    sizes = {name: len(list(child.parameters())) for name, child in module.named_children()}
    notable = [
        name
        for name, child in module.named_children()
        if original_class(child) in (nn.Sequential, nn.ModuleList, nn.ModuleDict)
        and sizes[name] / total > _NOTABLE_SHARE
    ]
    stages: list[str] = []
    for name, child in module.named_children():
        # several containers side by side are stages themselves
        if name in notable and len(notable) <= _MOST_TRUNKS:
            stages += [f"{name}.{n}" for n, c in child.named_children() if list(c.parameters())]
        elif sizes[name]:
            stages.append(name)
    return stages


def add_new_groups(optimizer: torch.optim.Optimizer, groups: Sequence[dict[str, Any]]) -> list[str]:
    """Give an optimiser the parameters that it does not have yet, each once.

    Parameters are told apart by identity, never by their values: fresh norm layers all hold ones
    and zeros.

    Parameters
    ----------
    optimizer : Optimizer
    groups : sequence of dict
        As from :func:`param_groups`, of everything that should train now.

    Returns
    -------
    list of str
        Names of the parameters that joined.
    """
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    scheduled = any("initial_lr" in group for group in optimizer.param_groups)
    named = all("param_names" in group for group in optimizer.param_groups)
    joined: list[str] = []
    for group in groups:
        fresh = [
            (name, parameter)
            for name, parameter in zip(group["param_names"], group["params"], strict=True)
            if id(parameter) not in known
        ]
        if not fresh:
            continue
        joined += [name for name, _ in fresh]
        added = {k: v for k, v in group.items() if k not in ("params", "param_names")}
        if scheduled:
            # what schedulers start from
            added.setdefault("initial_lr", added.get("lr", optimizer.defaults["lr"]))
        added["params"] = fresh if named else [parameter for _, parameter in fresh]
        optimizer.add_param_group(added)
    return joined


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return an optimiser's tensors as ``"kind/parameter name"``.

    Groups must list ``param_names`` beside ``params``. State by name survives another order or
    number of groups, which state by position does not.
    """
    found: dict[str, torch.Tensor] = {}
    _check_names(optimizer)
    for group in optimizer.param_groups:
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            for kind, value in optimizer.state.get(parameter, {}).items():
                found[f"{kind}/{name}"] = torch.as_tensor(value).detach().clone()
    return found


def restore_optimizer(
    optimizer: torch.optim.Optimizer, state: dict[str, torch.Tensor]
) -> list[str]:
    """Put back what :func:`optimizer_state` returned, in each parameter's memory layout.

    Returns
    -------
    list of str
        Names in ``state`` that the optimiser does not have; they were left out.
    """
    _check_names(optimizer)
    owners = {
        name: parameter
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
    }
    left: dict[str, None] = {}
    for key, value in state.items():
        kind, _, name = key.partition("/")
        parameter = owners.get(name)
        if parameter is None:
            left[name] = None
            continue
        same = value.shape == parameter.shape and value.ndim > 0
        own = torch.empty_like(parameter).copy_(value) if same else value.clone()
        optimizer.state[parameter][kind] = own
    return list(left)


def _check_names(optimizer: torch.optim.Optimizer) -> None:
    if not all("param_names" in group for group in optimizer.param_groups):
        raise BackboneError(
            "The optimizer does not know the names of its parameters.",
            hint="Build it from frostline.nn.param_groups(module, ...), or from "
            "module.named_parameters().",
        )


def _exempt(module: nn.Module) -> set[str]:
    """Names of parameters that weight decay would only harm."""
    exempt: set[str] = set()
    for path, child in module.named_modules():
        start = f"{path}." if path else ""
        own = getattr(child, "no_weight_decay", None)
        if callable(own):
            exempt |= {f"{start}{name}" for name in own()}
        norm = is_norm(child)
        for name, parameter in child.named_parameters(recurse=False):
            # scales of one value a channel, however they are shaped
            flat = parameter.numel() == max(parameter.shape, default=1)
            if norm or flat or name.endswith("bias"):
                exempt.add(f"{start}{name}")
    return exempt


def _below(name: str, modules: Sequence[str]) -> bool:
    return any(name == m or name.startswith(m + ".") for m in modules)
