"""Change a network's ends: another number of input channels, another number of classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from frostline.backbones.fingerprints import classifier_names
from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.graph.ends import get_module, input_layers, is_classifier, output_layers
from frostline.backbones.graph.tracing import trace
from frostline.backbones.load.found import example_images
from frostline.core.errors import BackboneError


def replace_classifier(
    module: nn.Module, n_classes: int, *, example: torch.Tensor | None = None
) -> tuple[str, ...]:
    """Replace the layer that gives the logits, whatever it is called.

    The new layer starts with small random weights and zero bias.

    Parameters
    ----------
    module : Module
        Changed in place.
    n_classes : int
        At least 1.
    example : Tensor of shape (n, channels, height, width), optional
        Images that the module accepts; not needed for networks of timm.

    Returns
    -------
    tuple of str
        Paths of the replaced layers.

    Raises
    ------
    BackboneError
        If no linear layer or 1x1 convolution gives the output.
    """
    if n_classes < 1:
        raise BackboneError(f"n_classes must be at least 1, got {n_classes}.")
    example = _example(module, example)
    names = tuple(n for n in classifier_names(module) if is_classifier(get_module(module, n)))
    if not names or not getattr(module, "pretrained_cfg", None):
        names = output_layers(module, _graph(module, example))
    if not names or "" in names:
        raise BackboneError(
            f"No linear layer or 1x1 convolution gives the output of this {type(module).__name__}.",
            hint="Cut it with Network.load(module).split(...) and put a head on the prefix.",
        )
    for name in names:
        owner, _, attribute = name.rpartition(".")
        setattr(
            module.get_submodule(owner), attribute, _resized(get_module(module, name), n_classes)
        )
    for attribute in ("num_classes", "n_classes"):
        if isinstance(getattr(module, attribute, None), int):
            setattr(module, attribute, n_classes)
    with eval_mode(module), torch.no_grad():
        output = module(example.clone())
    if isinstance(output, torch.Tensor) and output.shape[-1] != n_classes:
        raise BackboneError(
            f"After its classifier {', '.join(names)} was replaced, {type(module).__name__} still "
            f"gives {output.shape[-1]} outputs instead of {n_classes}."
        )
    return names


def adapt_input(
    module: nn.Module, channels: int, *, example: torch.Tensor | None = None
) -> tuple[str, ...]:
    """Let a network for RGB take images of another number of channels, filters kept.

    One channel: the three filters are added up, so a grey image gives exactly what its three
    equal channels gave. More than three: red, green and blue keep their filters and every further
    channel gets their mean; two: both get the mean. All are scaled so that the filters of one
    place still add up to what they did: equal channels give equal outputs (about equal where a
    layer standardises its own weights).

    Parameters
    ----------
    module : Module
        Changed in place.
    channels : int
        At least 1.
    example : Tensor of shape (n, 3, height, width), optional
        Images that the module accepts now; not needed for networks of timm.

    Returns
    -------
    tuple of str
        Paths of the adapted layers.

    Raises
    ------
    BackboneError
        If the image is not read by convolutions alone, or they do not read three channels.
    """
    if channels < 1:
        raise BackboneError(f"input_channels must be at least 1, got {channels}.")
    example = _example(module, example)
    names = input_layers(module, _graph(module, example))
    layers: list[tuple[str, nn.Conv2d]] = []
    for name in names:
        layer = get_module(module, name)
        if not isinstance(layer, nn.Conv2d) or layer.groups != 1:
            raise BackboneError(
                f"The image reaches {name!r} ({type(layer).__name__}) first, not a convolution; "
                "its channels cannot be adapted."
            )
        if "weight" not in layer._parameters:
            raise BackboneError(
                f"The weights of {name!r} are computed from others (weight_norm or the like).",
                hint="Remove the parametrisation first, adapt, and put it back.",
            )
        if layer.in_channels != example.shape[1]:
            raise BackboneError(
                f"{name!r} reads {layer.in_channels} channels, not the image's "
                f"{example.shape[1]}: the pixels are rearranged before it."
            )
        layers.append((name, layer))
    if not layers:
        raise BackboneError(f"{type(module).__name__} has no layer that reads the image.")
    for _, layer in layers:
        layer.weight = nn.Parameter(
            adapted_filters(layer.weight.detach(), channels),
            requires_grad=layer.weight.requires_grad,
        )
        layer.in_channels = channels
    for attribute in ("in_chans", "in_channels"):
        if isinstance(getattr(module, attribute, None), int):
            setattr(module, attribute, channels)
    config: Any = getattr(module, "pretrained_cfg", None)
    if isinstance(config, dict) and config.get("input_size"):
        size = (channels, *config["input_size"][1:])
        module.pretrained_cfg = {**config, "input_size": size}  # type: ignore[assignment]
    return tuple(name for name, _ in layers)


def adapted_filters(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Return filters (out, channels, kh, kw) for filters (out, old, kh, kw); their sum is kept."""
    total = weight.sum(dim=1, keepdim=True)
    if channels == 1:
        return total
    mean = weight.mean(dim=1, keepdim=True)
    old = weight.shape[1]
    if channels < old:
        filters = mean.repeat(1, channels, 1, 1)
    else:
        filters = torch.cat([weight, mean.repeat(1, channels - old, 1, 1)], dim=1)
    return filters * (old / channels)


def _resized(layer: nn.Module, n_classes: int) -> nn.Module:
    new: nn.Linear | nn.Conv2d
    has_bias = getattr(layer, "bias", None) is not None
    if isinstance(layer, nn.Conv2d):
        new = nn.Conv2d(layer.in_channels, n_classes, 1, bias=has_bias)
    elif isinstance(layer, nn.Linear):
        new = nn.Linear(layer.in_features, n_classes, bias=has_bias)
    else:
        raise BackboneError(f"A {type(layer).__name__} cannot be a classifier.")
    nn.init.normal_(new.weight, std=0.01)
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    weight: Any = layer.weight
    return new.to(device=weight.device, dtype=weight.dtype).train(layer.training)


def _graph(module: nn.Module, example: torch.Tensor) -> fx.Graph:
    return trace(module, type(module).__name__, example).graph


def _example(module: nn.Module, example: torch.Tensor | None) -> torch.Tensor:
    if example is not None:
        return example.detach()
    config: Any = getattr(module, "pretrained_cfg", None) or {}
    size = config.get("input_size")
    if not size:
        raise BackboneError(
            f"How large are the images that this {type(module).__name__} takes?",
            hint="Give an example batch: example=images.",
        )
    return example_images(int(size[1]), channels=int(size[0]), width=int(size[2]))
