"""Batches of stored activations, and what every source of batches has in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from frostline.compute.activation_buffer import Activations
from frostline.compute.engines.torch_runtime import Compute
from frostline.core.arrays import IntArray
from frostline.training.epochs import epoch_order, epoch_views
from frostline.training.train_val_split import TrainValSplit

#: norm layers learn only from batches of at least this many images
SMALLEST_NORM_BATCH = 16

#: images a batch when nothing is learned
_LOOK_BATCH = 32


class Batches(Protocol):
    """Where one stage of training gets its input from; all tensors are on the device."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""

    def training(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and labels of one epoch's batches, in its order and views."""

    def validation(self) -> Iterator[torch.Tensor]:
        """Clean inputs of the validation part, in order."""

    def clean(self) -> Iterator[torch.Tensor]:
        """Clean inputs of the training part, in order."""


@dataclass(frozen=True)
class Batching:
    """How training rows become batches.

    ``size``: images a batch. ``min_last_batch``: a last batch with fewer images is left out, unless
    it is the only one.
    """

    parts: TrainValSplit
    size: int
    min_last_batch: int
    seed: int
    compute: Compute

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(batch_bounds(len(self.parts.train), self.size, self.min_last_batch))

    def epoch(self, epoch: int) -> list[IntArray]:
        """Positions in the training part, batch by batch, in the epoch's order."""
        order = epoch_order(self.parts.digests, seed=self.seed, epoch=epoch)
        bounds = batch_bounds(len(order), self.size, self.min_last_batch)
        return [order[start:stop] for start, stop in bounds]

    def labels(self, positions: IntArray) -> torch.Tensor:
        """Truth about positions in the training part, shape (n,) or (n, k).

        Where images weigh differently, with a column more for the weights, as the loss takes them
        then.
        """
        labels, weights = self.parts.train_labels[positions], self.parts.train_weights
        if weights is None:
            values = labels if labels.ndim == 1 else labels.astype(np.float32)
            return torch.from_numpy(values).to(self.compute.device)
        both = np.column_stack([labels, weights[positions]]).astype(np.float32)
        return torch.from_numpy(both).to(self.compute.device)


@dataclass(frozen=True)
class ActivationBatches:
    """Batches of stored activations; no image is opened and no frozen layer runs.

    ``train``: every image goes round all its views. ``held``: the clean view of the validation
    part.
    """

    batching: Batching
    train: Activations
    held: Activations

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.batching.steps

    def training(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and labels of one epoch's batches."""
        views = epoch_views(
            self.batching.parts.digests,
            seed=self.batching.seed,
            epoch=epoch,
            views=self.train.views,
        )
        for chosen in self.batching.epoch(epoch):
            yield self._tensor(self.train.take(chosen, views[chosen])), self.batching.labels(chosen)

    def validation(self) -> Iterator[torch.Tensor]:
        """Clean activations of the validation part."""
        return self._clean(self.held)

    def clean(self) -> Iterator[torch.Tensor]:
        """Clean activations of the training part."""
        return self._clean(self.train)

    def _clean(self, stored: Activations) -> Iterator[torch.Tensor]:
        for start, stop in look_bounds(len(stored)):
            yield self._tensor(stored.take(slice(start, stop), 0))

    def _tensor(self, values: npt.NDArray[np.floating]) -> torch.Tensor:
        tensor = (
            torch.from_numpy(np.ascontiguousarray(values)).to(self.batching.compute.device).float()
        )
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor


def batch_bounds(n: int, size: int, min_last_batch: int = 0) -> list[tuple[int, int]]:
    """Return where batches of ``size`` start and stop.

    A last batch below ``min_last_batch`` images is left out, unless it is the only one.
    """
    bounds = [(start, min(start + size, n)) for start in range(0, n, size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] < min_last_batch:
        bounds.pop()
    return bounds


def look_bounds(n: int) -> list[tuple[int, int]]:
    """Return batches for passes that change no weight; none has one image where there are two.

    Norm layers take their statistics in some of these passes, and a single image with a single
    value in each channel has none.
    """
    bounds = batch_bounds(n, _LOOK_BATCH)
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1:
        (start, stop), (_, end) = bounds[-2:]
        bounds[-2:] = [(start, stop - 1), (stop - 1, end)]
    return bounds
