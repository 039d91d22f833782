"""What a classifier's own head is given: the features that tell its classes apart."""

from __future__ import annotations

import torch
from torch import nn


class WithHeadInput(nn.Module):
    """A classifier that also gives what its head was given; its logits are the same bits.

    ``module``: normalised images (n, 3, size, size) to logits (n, C). ``head``: a linear layer of
    its own, whose input is wanted.
    """

    def __init__(self, module: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.module = module
        # not registered a second time: that would double its entries in the state dict
        self._head = (head,)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, C), and the input of the head (n, d)."""
        seen: list[torch.Tensor] = []

        def keep(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            seen.append(given[0])

        handle = self._head[0].register_forward_pre_hook(keep)
        try:
            logits: torch.Tensor = self.module(x)
        finally:
            handle.remove()
        return logits, seen[0]
