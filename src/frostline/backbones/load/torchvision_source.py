"""Classification networks of torchvision, by ``torchvision:NAME`` or ``torchvision:NAME.TAG``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from torch import nn
from torchvision import models

from frostline.backbones.load.fitting_weights import fit_by_name, load_weights_file
from frostline.backbones.load.found import LoadedNetwork, example_images
from frostline.backbones.load.hub import DOWNLOAD_ERRORS, reason_of, within_patience
from frostline.backbones.load.image_sizes import built_at
from frostline.backbones.load.torchvision_names import (
    LICENCE,
    PREFIX,
    names,
    preprocessing_for,
    weights_entry,
)
from frostline.backbones.load.zoo import not_here
from frostline.core.errors import BackboneError, did_you_mean


def from_torchvision(
    name: str, *, weights: Path | None, pretrained: bool, size: int | None = None
) -> LoadedNetwork:
    """Build a network of torchvision.

    Raises BackboneError if the name or tag is unknown (with a guess), or its weights cannot be had
    or do not fit.

    ``weights``: own weights in place of the pretrained ones. ``size``: of the square images that it
    will get, where that is not its own.
    """
    architecture, _, tag = name.removeprefix(PREFIX).partition(".")
    if architecture not in names():
        raise BackboneError(
            f"torchvision has no classification network {architecture!r}.",
            hint=did_you_mean(architecture.lower(), names())
            or "'frostline models torchvision' lists all.",
        )
    entry = weights_entry(architecture, tag)
    found = preprocessing_for(entry)

    def load(net: nn.Module) -> tuple[str, ...]:
        if weights is None:
            if pretrained:
                fit_by_name(net, _downloaded(name, architecture, entry).state_dict(), what=name)
            return ()
        return (*load_weights_file(net, weights), *_said_of_input(net, weights))

    notes: tuple[str, ...] = ()
    if size is not None and size != found.size and _sized_by(architecture):

        def build(side: int | None) -> nn.Module:
            return _random(architecture, size=side)

        def move(source: nn.Module, target: nn.Module) -> tuple[str, ...]:
            return fit_by_name(target, source.state_dict(), what=name)

        net, notes = built_at(build, load, size, move=move)
    elif weights is None and pretrained:
        net = _downloaded(name, architecture, entry)
    else:
        net = _random(architecture)
        notes = load(net)
    if size is not None:
        found = found.model_copy(update={"size": size})
    return LoadedNetwork(
        name,
        net.eval(),
        found,
        LICENCE if weights is None else "unknown (own weights file)",
        example_images(found.size),
        notes,
        classifier=pretrained and weights is None,
    )


#: networks whose form depends on the size of the images, and how their builders call it
_SIZED = {"vit": "image_size", "maxvit": "input_size"}


def _sized_by(architecture: str) -> str:
    return _SIZED.get(architecture.partition("_")[0], "")


def _random(architecture: str, *, size: int | None = None) -> nn.Module:
    builder = models.get_model_builder(architecture)
    # auxiliary classifiers belong to the old task, and torchvision's weights come without them;
    # what is done to the images is the same whether the weights are torchvision's or not
    wanted: dict[str, Any] = {"aux_logits": False, "init_weights": True, "transform_input": True}
    has = inspect.signature(builder).parameters
    if "aux_logits" not in inspect.getsource(builder):
        wanted = {}
    wanted = {k: v for k, v in wanted.items() if k in has or "kwargs" in has}
    if size is not None:
        keyword = _sized_by(architecture)
        wanted[keyword] = (size, size) if keyword == "input_size" else size
    net: nn.Module = builder(weights=None, **wanted)
    return net


def _said_of_input(net: nn.Module, weights: Path) -> tuple[str, ...]:
    """Say what a network does to its images first, which own weights may not have met."""
    if not getattr(net, "transform_input", False):
        return ()
    return (
        f"Weights file {weights}: images are rescaled inside of the network, as for torchvision's "
        "own weights (transform_input=True).",
    )


def _downloaded(name: str, architecture: str, entry: Any) -> nn.Module:
    try:
        with within_patience():
            net: nn.Module = models.get_model(architecture, weights=entry)
    except DOWNLOAD_ERRORS as error:
        raise not_here(name, reason_of(error)) from error
    return net
