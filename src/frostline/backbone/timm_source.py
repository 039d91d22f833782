"""Networks of timm: bundled weights, timm's own cache or download, or a local file."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import timm
from huggingface_hub import constants
from timm.data import resolve_data_config
from torch import nn

from frostline.backbone.bundled import BUNDLED, not_here
from frostline.backbone.sources import Source, example_images
from frostline.backbone.weights import fit_by_name, fit_in_order, read_weights
from frostline.errors import BackboneError, did_you_mean
from frostline.preprocessing import Preprocessing


def from_timm(name: str, *, weights: Path | None, pretrained: bool) -> Source:
    """Build a bundled network, or any that timm knows.

    Raises
    ------
    BackboneError
        If the name is unknown (with a guess), or its weights cannot be had or do not fit.
    """
    bundled = BUNDLED.get(name)
    architecture = bundled.architecture if bundled else name
    if not architecture.startswith("hf-hub:") and not timm.is_model(architecture):
        _raise_unknown(name)
    notes: tuple[str, ...] = ()
    if bundled is None and weights is None and pretrained:
        net = _made(name, pretrained=True)
    elif architecture.startswith("hf-hub:"):
        # what the network looks like is kept there as well
        net = _made(name, pretrained=False)
    else:
        net = timm.create_model(architecture, pretrained=False)
    if weights is not None:
        notes = fit_by_name(net, read_weights(weights), what=f"Weights file {weights}")
    elif bundled is not None and pretrained:
        fit_in_order(
            net, read_weights(bundled.weights_file()), what=f"The package {bundled.package}"
        )
    licence = bundled.licence if bundled else _licence(net)
    if weights is not None:
        licence = "unknown (own weights file)"
    found = preprocessing_of(net)
    return Source(
        name,
        net.eval(),
        found,
        licence,
        example_images(found.size),
        notes,
        classifier=pretrained and weights is None,
    )


def preprocessing_of(net: nn.Module) -> Preprocessing:
    """Return the preprocessing that timm keeps beside its weights.

    Raises
    ------
    BackboneError
        If the network does not take square three-channel images.
    """
    config: dict[str, Any] = resolve_data_config({}, model=net)
    interpolation = config["interpolation"]
    if interpolation not in ("bilinear", "bicubic", "lanczos"):
        interpolation = "bicubic"
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise BackboneError(
            f"This backbone wants {channels} x {height} x {width} input; "
            "only square three-channel input is supported."
        )
    return Preprocessing(
        size=height,
        crop_pct=config["crop_pct"],
        interpolation=interpolation,
        mean=config["mean"],
        std=config["std"],
    )


def _made(name: str, *, pretrained: bool) -> nn.Module:
    try:
        with _no_waiting_offline():
            net: nn.Module = timm.create_model(name, pretrained=pretrained)
    except (OSError, RuntimeError, ValueError) as error:
        raise not_here(name, error) from error
    return net


@contextmanager
def _no_waiting_offline() -> Iterator[None]:
    """Without a network, look into the cache alone: the hub would retry for a minute."""
    host = urlparse(constants.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, None)
        reachable = True
    except OSError:
        reachable = False
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not reachable
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _licence(net: nn.Module) -> str:
    config: Any = getattr(net, "pretrained_cfg", None) or {}
    return str(config.get("license") or "unknown")


def _raise_unknown(name: str) -> None:
    known = [*BUNDLED, *timm.list_models(), *timm.list_pretrained()]
    raise BackboneError(
        f"There is no backbone {name!r}.",
        hint=did_you_mean(name, known)
        or f"Use {', '.join(BUNDLED)}, torchvision:NAME, or any name of 'frostline models'.",
    )
