"""What is minimised, and what decides when to stop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.training.value_losses import (
    BinaryCrossEntropy,
    SquaredError,
    mean_of_labels,
    mean_of_numbers,
    means_of_numbers,
    shares_of_labels,
)


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
    return ByImage(nn.CrossEntropyLoss(weight=tensor, label_smoothing=label_smoothing))


class ByImage(nn.Module):
    """A mean loss that lets images weigh differently where they come with weights.

    Takes logits (n, C) and labels (n,), which give the plain mean, or labels beside weights (n, 2),
    of which the mean over the training part is 1: the mean is over the number of images, so that
    batches of heavy images pull harder than others.
    """

    def __init__(self, loss: nn.CrossEntropyLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss."""
        if labels.ndim == 1:
            plain: torch.Tensor = self.loss(logits, labels)
            return plain
        truth, weights = labels[:, 0].long(), labels[:, 1]
        each = nn.functional.cross_entropy(
            logits,
            truth,
            weight=self.loss.weight,
            label_smoothing=self.loss.label_smoothing,
            reduction="none",
        )
        heavy = torch.ones_like(weights) if self.loss.weight is None else self.loss.weight[truth]
        return (weights * each).sum() / heavy.sum()


#: by the name that a target gives. Labels are not smoothed where there may be several: a rare one
#: would be called too often
LOSSES: dict[str, Callable[[FloatArray | None, float, torch.device], nn.Module]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": lambda weights, label_smoothing, device: BinaryCrossEntropy(),
    "squared_error": lambda weights, label_smoothing, device: SquaredError(),
}


def judged_loss(
    name: str,
    outputs: FloatArray,
    truth: Truth,
    weights: FloatArray | None = None,
    by_image: FloatArray | None = None,
) -> float:
    """Return the mean loss that a target names, of outputs (n, k) that are judged.

    Parameters
    ----------
    weights : array of shape (k,) or None
        One weight a class.
    by_image : array of shape (n,) or None
        One weight an image.
    """
    if name == "cross_entropy":
        return mean_nll(outputs, truth, weights, by_image)
    return _OF_VALUES[name][0](outputs, truth, by_image)


def uninformed(name: str, truth: Truth, by_image: FloatArray | None) -> FloatArray:
    """Return the outputs (k,) of who knows shares of labels or means, but looks at no image.

    ``name``: of a loss of labels or numbers. ``by_image``: as for :func:`judged_loss`.
    """
    return _OF_VALUES[name][1](truth, by_image)


_OF_VALUES: dict[
    str,
    tuple[
        Callable[[FloatArray, Truth, FloatArray | None], float],
        Callable[[Truth, FloatArray | None], FloatArray],
    ],
] = {
    "binary_cross_entropy": (mean_of_labels, shares_of_labels),
    "squared_error": (mean_of_numbers, means_of_numbers),
}


def mean_nll(
    logits: FloatArray,
    labels: IntArray,
    weights: FloatArray | None = None,
    by_image: FloatArray | None = None,
) -> float:
    """Return the negative log-likelihood per image, in nats; a weighted mean with weights.

    Parameters
    ----------
    logits : array of shape (n, C)
    labels : int array of shape (n,)
    weights : array of shape (C,) or None
        One weight a class.
    by_image : array of shape (n,) or None
        One weight an image.
    """
    below = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(below).sum(axis=1)) - below[np.arange(len(labels)), labels]
    shares = np.ones(len(labels)) if weights is None else weights[labels]
    shares = shares if by_image is None else shares * by_image
    # a validation part may consist of classes that training never saw
    return float(losses @ shares / shares.sum()) if shares.sum() > 0 else float(losses.mean())
