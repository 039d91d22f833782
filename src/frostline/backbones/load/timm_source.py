"""Networks of timm: bundled weights, timm's own cache or download, or a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from timm.data import resolve_data_config
from torch import nn

from frostline.backbones.fingerprints import fit_in_order
from frostline.backbones.load.bundled import BUNDLED, Bundled
from frostline.backbones.load.fitting_weights import fit_by_name, load_weights_file
from frostline.backbones.load.found import LoadedNetwork, example_images
from frostline.backbones.load.hub import DOWNLOAD_ERRORS, reason_of
from frostline.backbones.load.hub_weights import UNKNOWN, at_hand, licence_in_cache
from frostline.backbones.load.image_sizes import built_at, resizable, take_size
from frostline.backbones.load.network_names import HUB, called
from frostline.backbones.load.weights_file import DAMAGE, read_weights
from frostline.backbones.load.zoo import not_here
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing, resize_of


def from_timm(
    name: str, *, weights: Path | None, pretrained: bool, size: int | None = None
) -> LoadedNetwork:
    """Build a bundled network, or any that timm knows.

    Raises BackboneError if the name is unknown (with a guess), or its weights cannot be had or do
    not fit.

    ``weights``: own weights in place of the pretrained ones. ``size``: of the square images that it
    will get, in pixels, where that is not its own; networks that depend on it are brought to it.
    """
    name = called(name).name
    bundled = BUNDLED.get(name)
    notes: tuple[str, ...] = ()
    if bundled is not None and weights is None:
        net = _packaged(bundled, pretrained)
    else:
        architecture = bundled.architecture if bundled else name
        net, notes = _built(architecture, weights, pretrained, size)
    joined = _joined(net)
    notes = (*notes, *joined)
    licence = bundled.licence if bundled else _licence(net)
    if weights is not None:
        licence = "unknown (own weights file)"
    found = preprocessing_of(net)
    if size is not None and size != found.size:
        found = found.model_copy(update={"size": size})
    return LoadedNetwork(
        name,
        net.eval(),
        found,
        licence,
        example_images(found.size),
        notes,
        classifier=pretrained and weights is None and not joined,
    )


def _joined(net: nn.Module) -> tuple[str, ...]:
    """Let branches that end in a classifier each end in one vector; say so, where there are some.

    Such a network (CrossViT) averages logits: before them, nothing passes that is one tensor.
    Without its classifiers timm's network gives what all of them read, side by side.
    """
    known: Any = getattr(net, "get_classifier", None)
    classifiers = known() if callable(known) else None
    if not isinstance(classifiers, nn.ModuleList) or len(classifiers) < 2:
        return ()
    n = len(classifiers)
    reset: Any = net.reset_classifier
    reset(0)
    return (f"Its {n} branches have a classifier each: what these read is taken side by side.",)


def preprocessing_of(net: nn.Module) -> Preprocessing:
    """Return the preprocessing that timm keeps beside its weights.

    Raises BackboneError if the network does not take square three-channel images.
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
        resize=resize_of(config.get("crop_mode")),
    )


def _packaged(bundled: Bundled, pretrained: bool) -> nn.Module:
    net: nn.Module = timm.create_model(bundled.architecture, pretrained=False)
    if pretrained:
        fit_in_order(
            net, read_weights(bundled.weights_file()), what=f"The package {bundled.package}"
        )
    return net


def _built(
    name: str, weights: Path | None, pretrained: bool, size: int | None
) -> tuple[nn.Module, tuple[str, ...]]:
    """Build a network with its weights, for the size that it will get."""
    if weights is None:
        net = _made(name, pretrained=pretrained)
        if size is None or resizable(net) or not _depends_on_size(net, size):
            if size is not None:
                take_size(net, size, name=name)
            return net, ()
        state = net.state_dict()

        def load(target: nn.Module) -> tuple[str, ...]:
            return fit_by_name(target, state, what=name) if pretrained else ()
    else:
        net = _made(name, pretrained=False)
        if size is None or not _depends_on_size(net, size):
            return net, load_weights_file(net, weights)

        def load(target: nn.Module) -> tuple[str, ...]:
            return load_weights_file(target, weights)

        if resizable(net):
            take_size(net, size, name=name)
            return net, load(net)

    def build(side: int | None) -> nn.Module:
        options = {} if side is None else {"img_size": side}
        made: nn.Module = timm.create_model(name.partition("@")[0], pretrained=False, **options)
        return made

    def move(source: nn.Module, target: nn.Module) -> tuple[str, ...]:
        return fit_by_name(target, source.state_dict(), what=name)

    return built_at(build, load, size, move=move)


def _depends_on_size(net: nn.Module, size: int) -> bool:
    config: Any = getattr(net, "pretrained_cfg", None) or {}
    own = tuple(config.get("input_size") or ())[-2:]
    return own != (size, size) and bool(config.get("fixed_input_size") or resizable(net))


def _made(name: str, *, pretrained: bool) -> nn.Module:
    if not pretrained and not name.startswith(HUB):
        plain: nn.Module = timm.create_model(name, pretrained=False)
        return plain
    on_hub = name.startswith(HUB) or bool(timm.get_pretrained_cfg(name).hf_hub_id)
    if not on_hub and not _has_weights(name):
        raise BackboneError(
            f"timm has no pretrained weights for {name!r}.",
            hint="Give a file of your own as weights, or take another network.",
        )
    with at_hand(name, pretrained=pretrained):
        try:
            net: nn.Module = timm.create_model(name, pretrained=pretrained)
        except LookupError as error:
            raise BackboneError(
                f"{name} is no network of timm: its config.json has no {error}.",
                hint="timm has most networks of other libraries under names of its own: "
                "'frostline models' lists them.",
            ) from error
        except (*DOWNLOAD_ERRORS, *DAMAGE) as error:
            if on_hub:
                raise _unusable(name, error) from error
            raise not_here(name, reason_of(error)) from error
    return net


def _unusable(name: str, error: Exception) -> BackboneError:
    """Say that what the hub has under a name is no network of timm with its weights."""
    return BackboneError(
        f"What the hub has as {name} cannot be read as a network of timm and its weights: "
        f"{reason_of(error)}.",
        hint="Only tensors are read, no programs. Ask its author for a model.safetensors that "
        "timm.models.push_to_hf_hub wrote.",
    )


def _has_weights(name: str) -> bool:
    config = timm.get_pretrained_cfg(name)
    return bool(getattr(config, "has_weights", True))


def _licence(net: nn.Module) -> str:
    config: Any = getattr(net, "pretrained_cfg", None) or {}
    said = str(config.get("license") or UNKNOWN)
    if config.get("source") != "hf-hub":
        return said
    # who trains a network further keeps timm's description, and has a card of their own
    of_card = licence_in_cache(str(config.get("hf_hub_id") or ""))
    return said if of_card == UNKNOWN else of_card
