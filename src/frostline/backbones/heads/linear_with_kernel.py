"""A linear layer that adds a kernel between its input and some landmarks, in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from frostline.stats.kernel_part import KernelPart


class LinearWithKernel(nn.Linear):
    """What :class:`~frostline.stats.kernel_part.KernelPart` computes, beside linear outputs.

    The part is empty until :meth:`set_part`, or until a state dict with one is loaded: how many
    landmarks and components it has turns on the training images.
    """

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__(width, n_outputs)
        self.kernel = _Kernel(width, n_outputs)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return outputs (n, C) of inputs (n, d)."""
        outputs: torch.Tensor = super().forward(input) + self.kernel(input)
        return outputs

    def part(self) -> KernelPart:
        """Return the kernel's arrays, float64."""
        state = self.kernel.state_dict()
        return KernelPart.of_tensors({n: one.cpu().numpy() for n, one in state.items()})

    def set_part(self, part: KernelPart) -> None:
        """Copy a kernel's arrays into the layer."""
        self.kernel.load_state_dict(
            {name: torch.from_numpy(one).float() for name, one in part.tensors().items()}
        )


class _Kernel(nn.Module):
    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__()
        self.project: torch.Tensor
        self.shift: torch.Tensor
        self.landmarks: torch.Tensor
        self.weight: torch.Tensor
        self.register_buffer("project", torch.zeros(width, 1))
        self.register_buffer("shift", torch.zeros(1))
        self.register_buffer("landmarks", torch.zeros(1, 1))
        self.register_buffer("weight", torch.zeros(1, n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = functional.linear(x, self.project.T, self.shift)
        own = (z * z).sum(dim=1, keepdim=True)
        others = (self.landmarks * self.landmarks).sum(dim=1)
        apart = functional.linear(z, -2.0 * self.landmarks, others) + own
        # rounding may leave what should be 0 a little below it
        outputs: torch.Tensor = (1.0 + apart.clamp(min=0.0)).reciprocal() @ self.weight
        return outputs

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        for name, own in list(self.named_buffers()):
            given = state_dict.get(prefix + name)
            if given is not None and given.dim() == own.dim():
                setattr(self, name, torch.empty_like(given, dtype=own.dtype, device=own.device))
        super()._load_from_state_dict(state_dict, prefix, *args)
