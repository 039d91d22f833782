"""What is minimised, and what decides when to stop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax
from torch import nn

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def training_loss(
    weights: FloatArray | None, *, label_smoothing: float, device: torch.device
) -> nn.CrossEntropyLoss:
    """Return weighted cross-entropy with smoothed labels (Szegedy et al. 2016)."""
    tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    return nn.CrossEntropyLoss(weight=tensor, label_smoothing=label_smoothing)


def mean_nll(logits: FloatArray, labels: IntArray, weights: FloatArray | None = None) -> float:
    """Return the negative log-likelihood per image, in nats; a weighted mean with weights.

    Parameters
    ----------
    logits : array of shape (n, C)
    labels : int array of shape (n,)
    weights : array of shape (C,) or None
        One weight a class.
    """
    losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    shares = np.ones(len(labels)) if weights is None else weights[labels]
    # a validation part may consist of classes that training never saw
    return float(losses @ shares / shares.sum()) if shares.sum() > 0 else float(losses.mean())
