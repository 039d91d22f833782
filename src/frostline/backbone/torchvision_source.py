"""Classification networks of torchvision, by ``torchvision:NAME`` or ``torchvision:NAME.TAG``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any
from urllib.error import URLError

from torch import nn
from torchvision import models
from torchvision.transforms import InterpolationMode

from frostline.backbone.bundled import not_here
from frostline.backbone.sources import Source, example_images
from frostline.backbone.weights import fit_by_name, read_weights
from frostline.errors import BackboneError, did_you_mean
from frostline.preprocessing import Preprocessing

PREFIX = "torchvision:"

# torchvision publishes its code under this licence and says of the weights only that users must
# look at the terms of the data (ImageNet) themselves
LICENCE = "BSD-3-Clause code; weights trained on ImageNet"


def names() -> list[str]:
    """Names of all classification networks, without the prefix."""
    return list(models.list_models(module=models))


def from_torchvision(name: str, *, weights: Path | None, pretrained: bool) -> Source:
    """Build a network of torchvision.

    Raises
    ------
    BackboneError
        If the name or tag is unknown (with a guess), or its weights cannot be had or do not fit.
    """
    architecture, _, tag = name.removeprefix(PREFIX).partition(".")
    if architecture not in names():
        raise BackboneError(
            f"torchvision has no classification network {architecture!r}.",
            hint=did_you_mean(architecture, names()) or "'frostline models torchvision' lists all.",
        )
    entry = weights_entry(architecture, tag)
    notes: tuple[str, ...] = ()
    if pretrained and weights is None:
        net = _downloaded(name, architecture, entry)
    else:
        net = _random(architecture)
    licence = LICENCE
    if weights is not None:
        notes = fit_by_name(net, read_weights(weights), what=f"Weights file {weights}")
        licence = "unknown (own weights file)"
    found = preprocessing_for(entry)
    return Source(
        name,
        net.eval(),
        found,
        licence,
        example_images(found.size),
        notes,
        classifier=pretrained and weights is None,
    )


def weights_entry(architecture: str, tag: str = "") -> Any:
    """Return the entry of torchvision's weights enumeration.

    Raises
    ------
    BackboneError
        If there is no such tag.
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


def _random(architecture: str) -> nn.Module:
    builder = models.get_model_builder(architecture)
    # auxiliary classifiers belong to the old task, and torchvision's weights come without them
    wanted: dict[str, Any] = {"aux_logits": False, "init_weights": True}
    has = inspect.signature(builder).parameters
    if "aux_logits" not in inspect.getsource(builder):
        wanted = {}
    wanted = {k: v for k, v in wanted.items() if k in has or "kwargs" in has}
    net: nn.Module = builder(weights=None, **wanted)
    return net


def _downloaded(name: str, architecture: str, entry: Any) -> nn.Module:
    try:
        net: nn.Module = models.get_model(architecture, weights=entry)
    except (URLError, OSError, RuntimeError) as error:
        raise not_here(name, error) from error
    return net
