"""What is minimised for several labels or numbers; cells that nobody knows are left out."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import nn

from frostline.core.arrays import FloatArray, Truth
from frostline.stats.sigmoids import known_mean

#: probabilities are kept this far from 0 and 1 in logarithms
_EDGE = 1e-12


class ByCell(nn.Module):
    """A mean over images of the mean over what is known of each.

    Takes outputs (n, k) and truth (n, k) with NaN for unknown, or truth beside a weight for each
    image (n, k + 1), of which the mean over the training part is 1.
    """

    def forward(self, outputs: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the mean loss."""
        k = outputs.shape[1]
        weights = truth[:, k] if truth.shape[1] > k else None
        truth = truth[:, :k]
        known = ~torch.isnan(truth)
        cells = self.cells(outputs, torch.where(known, truth, torch.zeros_like(truth)))
        cells = torch.where(known, cells, torch.zeros_like(cells))
        each = cells.sum(dim=1) / known.sum(dim=1).clamp(min=1)
        return each.mean() if weights is None else (weights * each).mean()

    @abstractmethod
    def cells(self, outputs: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the loss of every cell (n, k); ``truth`` has no NaN."""


class BinaryCrossEntropy(ByCell):
    """Negative log-likelihood of each label by its own sigmoid."""

    def cells(self, outputs: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the loss of every cell (n, k)."""
        return nn.functional.binary_cross_entropy_with_logits(outputs, truth, reduction="none")


class SquaredError(ByCell):
    """Half of the squared error, of numbers in standard deviations."""

    def cells(self, outputs: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the loss of every cell (n, k)."""
        return 0.5 * (outputs - truth).square()


def mean_of_labels(outputs: FloatArray, truth: Truth, by_image: FloatArray | None) -> float:
    """Return the mean negative log-likelihood of what is known, in nats."""
    filled = np.where(np.isnan(truth), 0.0, truth)
    cells = np.logaddexp(0.0, outputs) - filled * outputs
    return _mean(cells, truth, by_image)


def mean_of_numbers(outputs: FloatArray, truth: Truth, by_image: FloatArray | None) -> float:
    """Return half of the mean squared error of what is known."""
    return _mean(0.5 * np.square(outputs - truth), truth, by_image)


def shares_of_labels(truth: Truth, by_image: FloatArray | None) -> FloatArray:
    """Return the logits (k,) of the share of images that have each label."""
    share = np.clip(_means(truth, by_image), _EDGE, 1.0 - _EDGE)
    found: FloatArray = np.log(share) - np.log1p(-share)
    return found


def _means(truth: Truth, by_image: FloatArray | None) -> FloatArray:
    known = ~np.isnan(truth)
    heft = known * (np.ones(len(truth)) if by_image is None else by_image)[:, None]
    found: FloatArray = (heft * np.where(known, truth, 0.0)).sum(axis=0) / np.maximum(
        heft.sum(axis=0), _EDGE
    )
    return found


def means_of_numbers(truth: Truth, by_image: FloatArray | None) -> FloatArray:
    """Return the mean of each column, shape (k,)."""
    return _means(truth, by_image)


def _mean(cells: FloatArray, truth: Truth, by_image: FloatArray | None) -> float:
    each = known_mean(np.where(np.isnan(truth), np.nan, cells))
    something = (~np.isnan(truth)).any(axis=1).astype(np.float64)
    shares = something if by_image is None else something * by_image
    return float(each @ shares / shares.sum()) if shares.sum() > 0 else 0.0
