"""A network as it was found: what every way of loading one returns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from frostline.backbones.load.image_sizes import take_size
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing

_EXAMPLE_SEED = 224


@dataclass(frozen=True)
class LoadedNetwork:
    """A network as it was found.

    Attributes
    ----------
    name : str
        As it can be given again; for modules the architecture or the name of the class.
    preprocessing : Preprocessing
        What belongs to the weights.
    licence : str
        Of the weights.
    example : Tensor of shape (n, channels, height, width)
        A batch that the network accepts.
    notes : tuple of str
        What was done to make the weights fit.
    keep_to : str or None
        The cut where a saved network ends; None for whole networks.
    loaded : frozenset of str or None
        Tensors that came with a network that was saved in part.
    classifier : bool
        Whether the old task's classifier came with the weights.
    """

    name: str
    net: nn.Module
    preprocessing: Preprocessing
    licence: str
    example: torch.Tensor
    notes: tuple[str, ...] = ()
    keep_to: str | None = None
    loaded: frozenset[str] | None = field(default=None, repr=False)
    classifier: bool = False


def at_size(source: LoadedNetwork, size: int, *, resize: bool = True) -> LoadedNetwork:
    """Return the same network for square images of ``size`` pixels.

    With ``resize`` the network itself is brought to them, in place, if it is made for one size.
    """
    if resize:
        take_size(source.net, size, name=source.name)
    return replace(
        source,
        example=example_images(size, channels=int(source.example.shape[1])),
        preprocessing=source.preprocessing.model_copy(update={"size": size}),
    )


def example_images(size: int, *, channels: int = 3, width: int | None = None) -> torch.Tensor:
    """Return one made-up image, the same every time: noise shows what a blank image hides."""
    generator = torch.Generator().manual_seed(_EXAMPLE_SEED)
    return torch.randn(1, channels, size, width or size, generator=generator)


def checked_batch(example: Any) -> torch.Tensor:
    """Return an example batch without its gradient.

    Raises BackboneError if it is no batch of images.
    """
    # one image without its batch would take its channels for images
    if not isinstance(example, torch.Tensor) or example.ndim in (0, 1, 3) or not len(example):
        found = (
            f"shape {tuple(example.shape)}"
            if isinstance(example, torch.Tensor)
            else type(example).__name__
        )
        raise BackboneError(
            f"The example must be a batch of images (n, channels, height, width), got {found}."
        )
    return example.detach()
