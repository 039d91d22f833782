"""Heads for any cut: each starts as a linear probe, and learns what the probe cannot say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from frostline.backbones.heads.linear import new_linear, set_linear
from frostline.backbones.heads.pooling import pooled
from frostline.core.cuts import Cut, Layout
from frostline.core.errors import BackboneError, did_you_mean

#: channels of a new branch, at most: enough to mix what is kept, small enough for few images
_WIDE = 256
_COSINE_SCALE = 16.0


class Head(nn.Module):
    """Activations at a cut to one logit a class.

    ``linear`` reads the pooled activations (mean and spread over space), so a closed-form probe
    on them can start every head; further branches add to it and begin at zero.

    ``cut``: where the head sits.
    """

    def __init__(self, cut: Cut, n_classes: int) -> None:
        super().__init__()
        self._layout: Layout = cut.layout
        self._tokens = cut.tokens
        self.channels = cut.channels
        self.width = cut.pooled_width
        self.linear = new_linear(self.width, n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Pooled activations (n, width): what a probe for this head is fitted on."""
        return pooled(x, self._layout, self._tokens)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_classes)."""
        logits: torch.Tensor = self.linear(self.features(x))
        return logits

    def load_probe(self, weight: npt.ArrayLike, bias: npt.ArrayLike) -> None:
        """Start from a linear probe on :meth:`features`.

        Raises BackboneError if the shapes do not fit.

        ``weight``: shape (width, n_classes). ``bias``: shape (n_classes,).
        """
        weight, bias = np.asarray(weight), np.asarray(bias)
        wanted = (self.width, self.linear.out_features)
        if weight.shape != wanted or bias.shape != wanted[1:]:
            raise BackboneError(
                f"The probe has weights {weight.shape} and biases {bias.shape}; this head needs "
                f"{wanted} and {wanted[1:]}."
            )
        set_linear(self.linear, weight, bias)


class CosineHead(Head):
    """Cosine similarity to one prototype a class; suits few images (Gidaris and Komodakis 2018).

    :meth:`load_probe` takes class means as columns (or a probe's weights, whose lengths and
    biases it drops).
    """

    def __init__(self, cut: Cut, n_classes: int) -> None:
        super().__init__(cut, n_classes)
        self.linear.bias.requires_grad_(False)
        self.scale = nn.Parameter(torch.tensor(_COSINE_SCALE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_classes), in [-scale, scale]."""
        similarity = functional.linear(
            functional.normalize(self.features(x), dim=1),
            functional.normalize(self.linear.weight, dim=1),
        )
        return self.scale * similarity

    def load_probe(self, weight: npt.ArrayLike, bias: npt.ArrayLike) -> None:
        """Take the columns of ``weight`` as prototypes; ``bias`` is not used."""
        super().load_probe(weight, np.zeros_like(np.asarray(bias)))


class MlpHead(Head):
    """The linear head plus one hidden layer."""

    def __init__(self, cut: Cut, n_classes: int) -> None:
        super().__init__(cut, n_classes)
        wide = min(_WIDE, self.width)
        self.hidden = nn.Sequential(
            nn.LayerNorm(self.width), nn.Linear(self.width, wide), nn.GELU()
        )
        self.out = _zero_linear(wide, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_classes)."""
        features = self.features(x)
        logits: torch.Tensor = self.linear(features) + self.out(self.hidden(features))
        return logits


class ConvHead(Head):
    """The linear head plus a convolutional block with pooling, for cuts at spatial maps."""

    def __init__(self, cut: Cut, n_classes: int) -> None:
        super().__init__(cut, n_classes)
        if cut.layout not in ("NCHW", "NHWC"):
            raise BackboneError(
                f"A convolutional head needs a map; {cut.name!r} passes {cut.layout}.",
                hint="Take 'attention' for tokens, 'mlp' for vectors.",
            )
        wide = min(_WIDE, cut.channels)
        self.block = nn.Sequential(
            nn.Conv2d(cut.channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
        )
        self.out = _zero_linear(2 * wide, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_classes)."""
        maps = x.permute(0, 3, 1, 2) if self._layout == "NHWC" else x
        found = self.out(pooled(self.block(maps), "NCHW"))
        logits: torch.Tensor = self.linear(self.features(x)) + found
        return logits


class AttentionHead(Head):
    """The linear head plus attention pooling, for cuts at tokens or maps."""

    def __init__(self, cut: Cut, n_classes: int) -> None:
        super().__init__(cut, n_classes)
        if cut.layout == "NC":
            raise BackboneError(
                f"Attention pooling needs tokens or a map; {cut.name!r} passes one vector.",
                hint="Take 'linear' or 'mlp'.",
            )
        heads = next(h for h in (8, 4, 2, 1) if cut.channels % h == 0)
        self.norm = nn.LayerNorm(cut.channels)
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, cut.channels))
        self.attention = nn.MultiheadAttention(cut.channels, heads, batch_first=True)
        self.out = _zero_linear(cut.channels, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, n_classes)."""
        tokens = x
        if self._layout == "NCHW":
            tokens = x.flatten(2).transpose(1, 2)
        elif self._layout == "NHWC":
            tokens = x.flatten(1, 2)
        tokens = self.norm(tokens)
        query = self.query.expand(len(x), -1, -1)
        found, _ = self.attention(query, tokens, tokens, need_weights=False)
        logits: torch.Tensor = self.linear(self.features(x)) + self.out(found[:, 0])
        return logits


HEADS: dict[str, Callable[[Cut, int], Head]] = {
    "linear": Head,
    "cosine": CosineHead,
    "mlp": MlpHead,
    "conv": ConvHead,
    "attention": AttentionHead,
}


def new_head(kind: str, cut: Cut, n_classes: int) -> Head:
    """Return a new head of one kind: ``linear``, ``cosine``, ``mlp``, ``conv`` or ``attention``.

    Raises
    ------
    BackboneError
        If the kind is unknown or does not suit what passes at the cut.
    """
    if kind not in HEADS:
        raise BackboneError(
            f"There is no head {kind!r}.",
            hint=did_you_mean(kind, HEADS) or f"Heads: {', '.join(HEADS)}.",
        )
    if n_classes < 1:
        raise BackboneError(f"n_classes must be at least 1, got {n_classes}.")
    return HEADS[kind](cut, n_classes)


def _zero_linear(width: int, n_classes: int) -> nn.Linear:
    layer = nn.Linear(width, n_classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
