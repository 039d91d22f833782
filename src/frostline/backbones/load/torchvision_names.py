"""What torchvision calls its classification networks and their weights."""

from __future__ import annotations

from typing import Any

from torchvision import models
from torchvision.transforms import InterpolationMode

from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing

PREFIX = "torchvision:"

# torchvision publishes its code under this licence and says of the weights only that users must
# look at the terms of the data (ImageNet) themselves
LICENCE = "BSD-3-Clause code; weights trained on ImageNet"


def names() -> list[str]:
    """Names of all classification networks, without the prefix."""
    return list(models.list_models(module=models))


def weights_entry(architecture: str, tag: str = "") -> Any:
    """Return the entry of torchvision's weights enumeration.

    Raises BackboneError if there is no such tag.
    """
    kinds: Any = models.get_model_weights(architecture)
    if not tag:
        return kinds.DEFAULT
    if tag not in kinds.__members__:
        raise BackboneError(
            f"torchvision has no weights {tag!r} for {architecture}.",
            hint=f"Its weights: {', '.join(kinds.__members__)}.",
        )
    return kinds[tag]


def has_tag(architecture: str, tag: str) -> bool:
    """Whether torchvision has such weights of such a network."""
    return architecture in names() and tag in models.get_model_weights(architecture).__members__


def preprocessing_for(entry: Any) -> Preprocessing:
    """Return the preprocessing that torchvision keeps with its weights."""
    chosen = entry.transforms()
    crop, resize = chosen.crop_size[0], chosen.resize_size[0]
    bicubic = chosen.interpolation == InterpolationMode.BICUBIC
    return Preprocessing(
        size=crop,
        crop_pct=min(1.0, crop / resize),
        interpolation="bicubic" if bicubic else "bilinear",
        mean=tuple(chosen.mean),
        std=tuple(chosen.std),
    )
