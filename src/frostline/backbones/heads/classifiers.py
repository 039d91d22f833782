"""New layers on top of what is kept of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from frostline.backbones.graph.cuts import Cut
from frostline.backbones.heads.pooling import pooled, pooled_width
from frostline.backbones.network import Network
from frostline.core.errors import PlanError

#: width of the new block, at most: enough to mix what is kept, small enough for few images
_NEW_CHANNELS = 256


class Classifier(nn.Module):
    """Kept layers, perhaps a new block, pooling (mean and spread) and a new linear head.

    Attributes
    ----------
    kept : Module
        Image to the activations at ``cut``.
    new : Module
        A new 1x1 convolution block, or Identity.
    head : Linear
        Pooled activations to one logit a class.
    layout : {"NCHW", "NHWC", "NLC", "NC"}
        Of the activations that are pooled.
    """

    def __init__(
        self, kept: nn.Module, cut: Cut, *, n_classes: int, new_block: bool = False
    ) -> None:
        super().__init__()
        self.kept = kept
        self.cut_name = cut.name
        self.layout = cut.layout
        channels = cut.channels
        self.new: nn.Module = nn.Identity()
        if new_block:
            if cut.layout != "NCHW":
                raise PlanError(
                    f"new_block needs a feature map at {cut.name!r}, which passes {cut.layout}.",
                    hint="Set new_block to false.",
                )
            wide = min(channels * 2, _NEW_CHANNELS)
            self.new = nn.Sequential(
                nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()
            )
            channels = wide
        self.head = nn.Linear(pooled_width(channels, cut.layout), n_classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_classes) for normalised images (n, 3, size, size)."""
        return self.classify(self.kept(x))

    def classify(self, activations: torch.Tensor) -> torch.Tensor:
        """Logits for activations at the last kept layer."""
        return self.read(self.new(activations))

    def read(self, activations: torch.Tensor) -> torch.Tensor:
        """Logits for activations behind the new block: pooling and the linear head alone."""
        logits: torch.Tensor = self.head(pooled(activations, self.layout))
        return logits


class TapsClassifier(nn.Module):
    """Pooled taps and one linear head on all of them; the network below stays as it is."""

    def __init__(self, network: Network, taps: list[str], *, n_classes: int) -> None:
        super().__init__()
        self.body = network.body(taps)
        self.head = nn.Linear(self.body.width, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_classes) for normalised images (n, 3, size, size)."""
        logits: torch.Tensor = self.head(self.body(x))
        return logits


class BlendClassifier(nn.Module):
    """The mean of several classifiers' calibrated probabilities, as logits.

    Parameters
    ----------
    members : sequence of Module
        Normalised images to logits (n, C).
    temperatures : sequence of float
        The logits of each member are divided by its own before they become probabilities.
    """

    def __init__(self, members: Sequence[nn.Module], temperatures: Sequence[float]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.temperatures: torch.Tensor
        self.register_buffer("temperatures", torch.tensor(temperatures, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, C): logarithms of the mean probabilities."""
        each = [
            torch.log_softmax(member(x) / self.temperatures[i], dim=-1)
            for i, member in enumerate(self.members)
        ]
        # a mean of probabilities, kept apart from log(0)
        return torch.logsumexp(torch.stack(each), dim=0) - math.log(len(each))


def build_classifier(
    network: Network, *, keep_to: str | None, n_classes: int, new_block: bool
) -> Classifier:
    """Put a new classifier on ``network``, kept up to ``keep_to`` (None keeps every layer)."""
    cut = network.last if keep_to is None else network.cut(keep_to)
    return Classifier(network.prefix(cut.name), cut, n_classes=n_classes, new_block=new_block)
