"""Optimiser groups: one rate per stage, decaying with depth; frozen parameters in none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def param_groups(
    module: nn.Module,
    *,
    stages: Sequence[str],
    learning_rate: float,
    layer_decay: float = 1.0,
    weight_decay: float = 0.0,
    head: Sequence[str] = ("head", "new"),
    head_learning_rate: float | None = None,
) -> list[dict[str, Any]]:
    """Put every trainable parameter into exactly one named group.

    Parameters
    ----------
    module : Module
    stages : sequence of str
        Names of submodules from the input to the output; a parameter belongs to the stage
        that its name lies below, one of no stage to the first.
    learning_rate : float
        Of the deepest stage; each stage further down has ``layer_decay`` times the rate of
        the one above it.
    layer_decay : float in (0, 1], default=1.0
    weight_decay : float, default=0.0
        Not applied to biases and norm weights (one-dimensional parameters).
    head : sequence of str, default=("head", "new")
        Submodules that are new; they train at ``head_learning_rate``.
    head_learning_rate : float or None, default=None
        None means ``learning_rate``.

    Returns
    -------
    list of dict
        For any torch optimiser: ``params``, ``lr``, ``weight_decay``; also ``name`` and
        ``param_names``. Empty groups are left out.
    """
    deepest = max(len(stages) - 1, 0)
    found: dict[str, dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        if _below(name, head):
            label, rate = "head", head_learning_rate or learning_rate
        else:
            place = next((i for i, s in enumerate(stages) if _below(name, (s,))), 0)
            label = stages[place] if stages else "network"
            rate = learning_rate * layer_decay ** (deepest - place)
        decays = parameter.ndim > 1
        key = label if decays else f"{label} (no decay)"
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


def _below(name: str, modules: Sequence[str]) -> bool:
    return any(name == m or name.startswith(m + ".") for m in modules)
