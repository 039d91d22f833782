"""Batches of images: fresh views in every epoch, or the few views that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from frostline.compute.image_loader import ImageLoader
from frostline.core.actions import Recipe
from frostline.core.arrays import IntArray
from frostline.core.preprocessing import UInt8Array
from frostline.data.catalog import Catalog
from frostline.data.decoding.views import training_view
from frostline.training.epochs import epoch_views
from frostline.training.loaders import Batching, look_bounds


@dataclass(frozen=True)
class ImageBatches:
    """Batches of images, or of what a frozen prefix makes of them.

    ``images``: where decoded images come from; its workers draw the views. ``recipe``: says how
    views are drawn. ``prefix``: frozen layers that run on every batch without gradient; None gives
    normalised images. ``views``: every image goes round so many views, the first of them clean, as
    stored activations do; 0 draws a new one in every epoch.
    """

    batching: Batching
    catalog: Catalog
    images: ImageLoader
    recipe: Recipe
    prefix: nn.Module | None
    views: int = 0

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.batching.steps

    def training(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and labels of one epoch's batches."""
        parts = self.batching.parts
        batches = self.batching.epoch(epoch)

        number = self._numbers(epoch)

        def view(digest: str) -> UInt8Array:
            if self.views and number[digest] == 0:
                return self.images.preprocessed(digest)
            return training_view(
                self.images.resized(digest),
                self.images.preprocessing,
                level=self.recipe.augment,
                flip=self.recipe.flip,
                seed=self.batching.seed,
                epoch=number[digest],
                key=digest,
            )

        order = [parts.digests[int(position)] for batch in batches for position in batch]
        if self.recipe.augment == "none":
            images = self.images.pixels(order)
        else:
            images = self.images.map(order, view)
        for chosen in batches:
            batch = np.stack([next(images) for _ in chosen])
            yield self._inputs(batch), self.batching.labels(chosen)

    def _numbers(self, epoch: int) -> dict[str, int]:
        """Which view of every image an epoch shows."""
        digests, seed = self.batching.parts.digests, self.batching.seed
        if not self.views:
            return dict.fromkeys(digests, epoch)
        shown = epoch_views(digests, seed=seed, epoch=epoch, views=self.views)
        return {digest: int(view) for digest, view in zip(digests, shown, strict=True)}

    def validation(self) -> Iterator[torch.Tensor]:
        """Clean inputs of the validation part."""
        return self._clean(self.batching.parts.validation)

    def clean(self) -> Iterator[torch.Tensor]:
        """Clean inputs of the training part."""
        return self._clean(self.batching.parts.train)

    def _clean(self, rows: IntArray) -> Iterator[torch.Tensor]:
        images = self.images.pixels([self.catalog.digests[int(row)] for row in rows])
        for start, stop in look_bounds(len(rows)):
            yield self._inputs(np.stack([next(images) for _ in range(start, stop)]))

    def _inputs(self, batch: UInt8Array) -> torch.Tensor:
        device = self.batching.compute.device
        preprocessing = self.images.preprocessing
        # moved as bytes and normalised there; the permuted view is channels_last already
        pixels = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float()
        std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
        mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
        inputs = pixels * (1.0 / (255.0 * std)) - mean / std
        if self.prefix is None:
            return inputs
        with torch.no_grad(), self.batching.compute.autocast():
            activations: torch.Tensor = self.prefix(inputs)
        return activations.float()
