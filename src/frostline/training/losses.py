"""What is minimised, and what decides when to stop."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax
from torch import nn

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def class_weights(
    labels: IntArray, *, n_classes: int, choice: Literal["none", "balanced"]
) -> FloatArray | None:
    """Return one weight a class, or None when all images count alike.

    A balanced weight is ``n / (C n_c)`` over the C classes that occur (King and Zeng 2001), so
    that all classes weigh the same and the mean weight of an image is 1.

    Parameters
    ----------
    labels : int array of shape (n,)
    n_classes : int
    choice : {"none", "balanced"}

    Returns
    -------
    ndarray of shape (n_classes,), float64, or None
        0 for a class that does not occur.
    """
    counts = np.bincount(labels, minlength=n_classes)
    occurring = counts > 0
    if choice == "none":
        return None
    weights = np.zeros(n_classes)
    weights[occurring] = len(labels) / (occurring.sum() * counts[occurring])
    return weights


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
