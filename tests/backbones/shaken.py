"""Weights that hide no fault."""

from __future__ import annotations

import torch
from torch import nn


def shake(module: nn.Module, seed: int = 0) -> None:
    """Move constant weights off their start: a branch that begins at zero hides a wrong cut."""
    generator = torch.Generator().manual_seed(seed)

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    with torch.no_grad():
        for parameter in module.parameters():
            if _is_constant(parameter):
                parameter.add_(noise(parameter), alpha=0.1)
        for child in module.modules():
            if isinstance(child, nn.modules.batchnorm._NormBase) and child.running_mean is not None:
                child.running_mean.add_(noise(child.running_mean), alpha=0.1)
                if child.running_var is not None:
                    child.running_var.mul_(torch.exp(0.2 * noise(child.running_var)))


def _is_constant(parameter: torch.Tensor) -> bool:
    values = parameter.is_floating_point() and parameter.numel() > 0
    return values and bool(parameter.min() == parameter.max())
