"""Freeze lower layers in the middle of a training, and store what they give from there on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from frostline.backbones.freeze.freezing import freeze
from frostline.backbones.heads.fitted_classifier import OF_CUT
from frostline.backbones.trainable import trainable
from frostline.compute.activation_cache import ActivationCache
from frostline.compute.frozen import Frozen
from frostline.training.assembly import Assembly
from frostline.training.loaders import Batches, Batching


class LaterBatches:
    """Batches that exist once the layers before them have trained.

    ``opened``: gives them; called once, by :meth:`enter`.
    """

    def __init__(self, batching: Batching, opened: Callable[[], Batches]) -> None:
        self._batching, self._opened = batching, opened
        self._batches: Batches | None = None

    def enter(self) -> None:
        """Take the layers before as they are now."""
        if self._batches is None:
            self._batches = self._opened()

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._batching.steps

    def training(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and labels of one epoch's batches."""
        return self._known.training(epoch)

    def validation(self) -> Iterator[torch.Tensor]:
        """Clean inputs of the validation part."""
        return self._known.validation()

    def clean(self) -> Iterator[torch.Tensor]:
        """Clean inputs of the training part."""
        return self._known.clean()

    @property
    def _known(self) -> Batches:
        if self._batches is None:
            raise RuntimeError("the layers before this stage have not been frozen yet")
        return self._batches


def freeze_below(assembly: Assembly, cut: str) -> None:
    """Hold the layers up to ``cut`` as they are; they stay among what the training may change."""
    freeze(assembly.network.prefix(cut))


def activations_of(assembly: Assembly, frozen: Frozen) -> ActivationCache:
    """Return where activations of the layers as they are now come from, for the same images."""
    known = set(frozen.network.tensor_names())
    values = {
        name.removeprefix(OF_CUT): tensor.detach().cpu().numpy()
        for name, tensor in assembly.classifier.state_dict().items()
        if name.startswith(OF_CUT) and name.removeprefix(OF_CUT) in known
    }
    return frozen.activations.of_trained(trainable(frozen.network).with_tensors(values))
