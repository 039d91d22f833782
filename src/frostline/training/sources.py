"""Choose where a stage gets its batches from: stored activations while they fit, or images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from frostline.backbones.network import Network
from frostline.compute.activation_cache import ActivationCache, ViewPlan
from frostline.compute.frozen import Frozen
from frostline.core.actions import Recipe
from frostline.core.runtime import Runtime
from frostline.training.image_batches import ImageBatches
from frostline.training.loaders import ActivationBatches, Batches, Batching

#: stored activations of one training may take this many bytes on disk
DISK_BUDGET = 8 * 10**9

#: augmented views that are stored for an image, at most
MOST_VIEWS = 4


@dataclass(frozen=True)
class Sources:
    """Opens batches for stages of one training.

    ``network``: the copy that is trained; its frozen layers equal those of the frozen network.
    """

    frozen: Frozen
    network: Network
    batching: Batching
    recipe: Recipe

    def images(self, prefix: nn.Module | None = None, *, views: int = 0) -> Batches:
        """Fresh views in every epoch, or so many in turn, perhaps through frozen layers."""
        return ImageBatches(
            batching=self.batching,
            catalog=self.frozen.catalog,
            images=self.frozen.runner.images,
            recipe=self.recipe,
            prefix=prefix,
            views=views,
        )

    def activations(self, cut: str, runtime: Runtime, *, epochs: int) -> tuple[Batches, str]:
        """Activations at ``cut``, with a note when they are too large to be stored.

        Stored are the clean view and ``min(epochs, MOST_VIEWS)`` augmented ones of every
        training image, and the clean view of every validation image. Beyond ``DISK_BUDGET``
        the layers before ``cut`` run on every batch instead, on the same views: how much room a
        disk has decides nothing.
        """
        note = self.too_large(cut, runtime, epochs=epochs)
        if note:
            return self.through_prefix(cut, epochs=epochs), note
        return self.stored(cut, runtime, self.frozen.activations, epochs=epochs), ""

    def too_large(self, cut: str, runtime: Runtime, *, epochs: int) -> str:
        """Say that activations at ``cut`` are too large to be stored, if they are."""
        parts = self.batching.parts
        images = len(parts.train) * self._views(epochs) + len(parts.validation)
        needed = images * self.network.cut(cut).bytes_per_image
        if runtime.activation_dtype == "uint8":
            # half the room of half precision
            needed //= 2
        if needed <= DISK_BUDGET:
            return ""
        return (
            f"Activations at {cut} would take {needed / 1e9:.0f} GB, more than the "
            f"{DISK_BUDGET / 1e9:.0f} GB allowed, so the frozen layers ran on every batch."
        )

    def through_prefix(self, cut: str, *, epochs: int) -> Batches:
        """Batches of the views that would be stored; the layers up to ``cut`` run on each."""
        return self.images(self.network.prefix(cut), views=self._views(epochs))

    def stored(
        self, cut: str, runtime: Runtime, cache: ActivationCache, *, epochs: int
    ) -> ActivationBatches:
        """Batches of activations at ``cut`` that ``cache`` computes and stores."""
        parts, recipe = self.batching.parts, self.recipe
        plan = ViewPlan(recipe.augment, recipe.flip, self.batching.seed)
        views = self._views(epochs)
        train = cache.get(cut, parts.train, runtime, views=views, plan=plan)
        validation = cache.get(cut, parts.validation, runtime)
        return ActivationBatches(self.batching, train, validation)

    def _views(self, epochs: int) -> int:
        return 1 if self.recipe.augment == "none" else 1 + min(epochs, MOST_VIEWS)
