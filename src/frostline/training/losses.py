"""What is minimised, and what decides when to stop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from frostline.core.arrays import FloatArray, IntArray


def training_loss(
    name: str, weights: FloatArray | None, *, label_smoothing: float, device: torch.device
) -> nn.Module:
    """Return the loss that a target names, as :data:`LOSSES` has it.

    Parameters
    ----------
    weights : array of shape (k,) or None
        One weight an output.
    """
    return LOSSES[name](weights, label_smoothing, device)


def _cross_entropy(
    weights: FloatArray | None, label_smoothing: float, device: torch.device
) -> nn.Module:
    """Return weighted cross-entropy with smoothed labels (Szegedy et al. 2016)."""
    tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    return nn.CrossEntropyLoss(weight=tensor, label_smoothing=label_smoothing)


#: by the name that a target gives
LOSSES: dict[str, Callable[[FloatArray | None, float, torch.device], nn.Module]] = {
    "cross_entropy": _cross_entropy
}


def mean_nll(logits: FloatArray, labels: IntArray, weights: FloatArray | None = None) -> float:
    """Return the negative log-likelihood per image, in nats; a weighted mean with weights.

    Parameters
    ----------
    logits : array of shape (n, C)
    labels : int array of shape (n,)
    weights : array of shape (C,) or None
        One weight a class.
    """
    below = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(below).sum(axis=1)) - below[np.arange(len(labels)), labels]
    shares = np.ones(len(labels)) if weights is None else weights[labels]
    # a validation part may consist of classes that training never saw
    return float(losses @ shares / shares.sum()) if shares.sum() > 0 else float(losses.mean())
