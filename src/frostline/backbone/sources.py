"""Where networks come from: bundled packages, timm by name, a local weights file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from timm.data import resolve_data_config
from torch import nn

from frostline.backbone.bundled import BUNDLED
from frostline.backbone.weights import fit_by_name, fit_in_order, read_weights
from frostline.errors import BackboneError, did_you_mean
from frostline.preprocessing import Preprocessing


@dataclass(frozen=True)
class Source:
    """A network as it was found: the module, the preprocessing and the licence of its weights."""

    net: nn.Module
    preprocessing: Preprocessing
    licence: str


def load_source(name: str, *, weights: Path | None = None, pretrained: bool = True) -> Source:
    """Find a network by name.

    Parameters
    ----------
    name : str
        A bundled network (``efficientnet_lite0``) or any timm name, with or without a tag.
    weights : Path or None, default=None
        Local weights for that architecture, instead of those that belong to the name.
    pretrained : bool, default=True
        False gives random weights (weights restored later, or training from scratch).

    Raises
    ------
    BackboneError
        If the name is unknown (with a guess), or its weights cannot be had or do not fit.
    """
    bundled = BUNDLED.get(name)
    architecture = bundled.architecture if bundled else name
    if not timm.is_model(architecture):
        _raise_unknown(name)
    if bundled is None and weights is None and pretrained:
        net = _from_timm(name)
    else:
        net = timm.create_model(architecture, pretrained=False)
    if weights is not None:
        fit_by_name(net, read_weights(weights), what=f"Weights file {weights}")
    elif bundled is not None and pretrained:
        fit_in_order(
            net, read_weights(bundled.weights_file()), what=f"The package {bundled.package}"
        )
    licence = bundled.licence if bundled else _timm_licence(net)
    if weights is not None:
        licence = "unknown (own weights file)"
    return Source(net.eval(), _preprocessing(net), licence)


def _from_timm(name: str) -> nn.Module:
    try:
        net: nn.Module = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise BackboneError(
            f"The weights of {name!r} are not on this machine and could not be downloaded "
            f"({type(error).__name__}).",
            hint=f"Works offline: {', '.join(BUNDLED)}, or a local file given as weights.",
        ) from error
    return net


def _timm_licence(net: nn.Module) -> str:
    config: Any = getattr(net, "pretrained_cfg", None) or {}
    return str(config.get("license") or "unknown")


def _raise_unknown(name: str) -> None:
    known = [*BUNDLED, *timm.list_models()]
    raise BackboneError(
        f"There is no backbone {name!r}.",
        hint=did_you_mean(name, known)
        or f"Use {', '.join(BUNDLED)} or any name that timm.list_models() shows.",
    )


def _preprocessing(net: nn.Module) -> Preprocessing:
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
