"""The learning rate over the steps of a training: linear warm-up, then a cosine to zero."""

from __future__ import annotations

import math

import torch


def rate_factor(step: int, *, total: int, warmup: int) -> float:
    """Return the share of the full learning rate for one step.

    Rises linearly to 1 over ``warmup`` steps, then falls by half a cosine (Loshchilov and
    Hutter 2017) towards 0, which the step after the last would reach.

    Parameters
    ----------
    total : int
        Number of steps.

    Returns
    -------
    float in (0, 1]
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def warmup_steps(total: int, share: float) -> int:
    """Return the number of warm-up steps for a share in [0, 1) of ``total`` steps."""
    return min(round(total * share), max(0, total - 1))


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's rate from its full one, which the group keeps as ``full_lr``."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("full_lr", group["lr"]) * factor
