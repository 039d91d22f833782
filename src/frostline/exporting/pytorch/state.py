"""The weights under the names that timm and torchvision give them, where these can hold them.

A head of Frostline reads the mean and the spread of every channel. The classifier of a library
reads the mean alone, so it can hold the head only where the spread says nothing. Otherwise timm
can still hold the network below the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from frostline.backbones.fingerprints import classifier_names
from frostline.backbones.heads.classifier import Classifier
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.network import Network
from frostline.core.cuts import pooled_width
from frostline.exporting.library_names import TIMM
from frostline.exporting.pytorch.libraries import Architecture, architecture_of
from frostline.model_format.card import ModelCard

HEAD_WEIGHT, HEAD_BIAS = "head.weight", "head.bias"


class UnsuitableError(Exception):
    """Why no plain network of a library can hold a model; a clause without a full stop."""


@dataclass(frozen=True)
class Plain:
    """A model as a library's own network.

    ``form``: ``classifier``: everything is in ``state``. ``features``: ``state`` has the network
    without classifier, and ``head`` reads mean and spread of its feature map. ``state``: loads
    strictly into the network that :meth:`Architecture.build` gives. ``head``: ``head.weight`` (C, 2
    channels) and ``head.bias`` (C,); empty for a classifier.
    """

    architecture: Architecture
    form: Literal["classifier", "features"]
    state: dict[str, torch.Tensor]
    head: dict[str, torch.Tensor]

    def module(self, n_outputs: int) -> nn.Module:
        """Build the network anew, as a user would, and load the weights strictly."""
        net = self.architecture.build(n_outputs if self.form == "classifier" else 0)
        net.load_state_dict(self.state, strict=True)
        return net if self.form == "classifier" else MeanAndSpread(net, self.head)


class MeanAndSpread(nn.Module):
    """A network of timm without classifier, and a linear head on its pooled feature map."""

    def __init__(self, net: nn.Module, head: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.net = net
        classes, width = head[HEAD_WEIGHT].shape
        self.head = nn.Linear(width, classes)
        self.head.load_state_dict({"weight": head[HEAD_WEIGHT], "bias": head[HEAD_BIAS]})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Calibrated logits (n, C) of normalised images."""
        maps: torch.Tensor = self.net(x)
        logits: torch.Tensor = self.head(pooled(maps, "NCHW"))
        return logits


def as_plain(module: Classifier, card: ModelCard) -> Plain:
    """Put a model's weights into the form of its library; the temperature goes into the head.

    Raises UnsuitableError if the library has no network that computes the same.

    ``module``: restored from the model folder.
    """
    architecture = architecture_of(card.backbone)
    if architecture is None:
        raise UnsuitableError(f"{card.backbone} is no network of timm or torchvision")
    part, head = _part_and_head(module, card)
    state = {name: tensor.detach().clone() for name, tensor in part.state_dict().items()}
    maps = _activations(part, card.preprocessing.size)
    weight, bias = head.weight.detach() / card.temperature, head.bias.detach() / card.temperature
    channels = maps.shape[1] if maps.ndim == 4 else maps.shape[-1]
    in_bias = _without_spread(weight, bias, maps, channels)
    if in_bias is not None:
        return _classifier(architecture, state, weight[:, :channels], in_bias)
    if architecture.library != TIMM or maps.ndim != 4:
        raise UnsuitableError(
            "its head also reads the spread of every channel, and the classifier of "
            f"{architecture.name} only the mean"
        )
    net = _built(architecture, 0)
    _check_names(architecture, state, net.state_dict())
    loaded = {HEAD_WEIGHT: weight.clone(), HEAD_BIAS: bias.clone()}
    return Plain(architecture, "features", state, loaded)


def _part_and_head(module: Classifier, card: ModelCard) -> tuple[nn.Module, nn.Linear]:
    """Return the part up to the network's last feature map, and the head on it."""
    if len(module.averaged) > 1:
        raise UnsuitableError(f"it averages {len(module.averaged)} networks")
    one = module.leader
    network = Network.load(card.backbone, pretrained=False, pooling=card.pooling)
    if len(one.cuts) > 1:
        raise UnsuitableError(f"its head reads activations at {len(one.cuts)} depths")
    _check_whole(one.cuts[0], network.last.name)
    if one.head_kernel() is not None:
        raise UnsuitableError("its head also compares images with training images")
    if one.new_block:
        raise UnsuitableError("a new block lies between network and head")
    return one.kept_layers, one.head


def _check_whole(end: str, last: str) -> None:
    if end != last:
        raise UnsuitableError(f"the layers above {end!r} were removed")


def _activations(part: nn.Module, size: int) -> torch.Tensor:
    with torch.inference_mode():
        found = part(torch.zeros(2, 3, size, size))
    # the body of a taps head gives a tuple, also for one tap
    maps: torch.Tensor = found[0] if isinstance(found, tuple) else found
    return maps


def _without_spread(
    weight: torch.Tensor, bias: torch.Tensor, maps: torch.Tensor, channels: int
) -> torch.Tensor | None:
    """Return the bias of a head that needs no spread; None if the spread says something."""
    if weight.shape[1] == channels:
        return bias
    if maps.ndim != 4 or weight.shape[1] != pooled_width(channels, "NCHW"):
        return None
    spread = weight[:, channels:]
    if maps.shape[2] * maps.shape[3] == 1:
        # one place has no spread: every image gets the same small number
        nothing = pooled(torch.zeros(1, channels, 1, 1), "NCHW")[0, channels:]
        return bias + spread @ nothing
    return bias if not spread.any() else None


def _classifier(
    architecture: Architecture,
    state: dict[str, torch.Tensor],
    weight: torch.Tensor,
    bias: torch.Tensor,
) -> Plain:
    """Put the head into the library's own classifier."""
    net = _built(architecture, len(bias))
    own = net.state_dict()
    layers = classifier_names(net)
    layer = layers[0] if layers else ""
    wanted = own.get(f"{layer}.weight")
    if len(layers) != 1 or wanted is None or wanted.shape != weight.shape:
        raise UnsuitableError(f"the classifier of {architecture.name} reads other features")
    filled = {**state, f"{layer}.weight": weight.clone(), f"{layer}.bias": bias.clone()}
    _check_names(architecture, filled, own)
    return Plain(architecture, "classifier", filled, {})


def _built(architecture: Architecture, n_outputs: int) -> nn.Module:
    try:
        return architecture.build(n_outputs)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise UnsuitableError(f"{architecture.library} cannot build {architecture.name}") from error


def _check_names(
    architecture: Architecture, state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]
) -> None:
    missing = [name for name in own if name not in state]
    if missing and any(name not in own for name in state):
        raise UnsuitableError(
            f"branches of its layers were merged, and {architecture.library} builds "
            f"{architecture.name} with them"
        )
    if missing:
        raise UnsuitableError(
            f"layers of {architecture.name} behind its last feature map were removed "
            f"({missing[0].rpartition('.')[0]})"
        )
    unknown = [n for n in state if n not in own or own[n].shape != state[n].shape]
    if unknown:
        raise UnsuitableError(f"{architecture.name} has no tensor {unknown[0]} of this shape")
