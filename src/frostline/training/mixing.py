"""Mix pairs of inputs and add noise, of images or of stored activations alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from frostline.core.actions import Recipe
from frostline.core.rng import generator

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Mixed:
    """A batch after mixing: ``share`` of every input is its own, the rest its partner's."""

    inputs: torch.Tensor
    labels: torch.Tensor
    partners: torch.Tensor
    share: float

    def loss(self, loss: Loss, logits: torch.Tensor) -> torch.Tensor:
        """Mean loss, shared between both labels as the inputs are."""
        own = loss(logits, self.labels)
        if self.share == 1.0:
            return own
        return self.share * own + (1.0 - self.share) * loss(logits, self.partners)


def mixed(
    inputs: torch.Tensor, labels: torch.Tensor, recipe: Recipe, *, seed: int, epoch: int, step: int
) -> Mixed:
    """Return the batch as the recipe wants it; equal keys give equal batches.

    ``inputs``, shape (n, ...): channels are dimension 1 of four dimensions, else the last one.
    ``labels``: shape (n,). ``recipe``: ``mixup`` and ``noise``; with both at 0 the batch is
    returned as it is.
    """
    if not recipe.mixup and not recipe.noise:
        return Mixed(inputs, labels, labels, 1.0)
    random = generator("mixing", seed, epoch, step)
    partners, share = labels, 1.0
    if recipe.mixup:
        share = float(random.beta(recipe.mixup, recipe.mixup))
        order = torch.from_numpy(random.permutation(len(labels))).to(labels.device)
        partners = labels[order]
        inputs = torch.lerp(inputs[order], inputs, share)
    if recipe.noise:
        over = (0, 2, 3) if inputs.ndim == 4 else tuple(range(inputs.ndim - 1))
        spread = inputs.std(dim=over, keepdim=True)
        noise = torch.Generator().manual_seed(int(random.integers(2**62)))
        drawn = torch.randn(inputs.shape, generator=noise).to(inputs.device)
        inputs = inputs + recipe.noise * spread * drawn
    return Mixed(inputs, labels, partners, share)
