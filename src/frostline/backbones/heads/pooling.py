"""Pooled activations: class token, mean and spread over space, for every layout."""

from __future__ import annotations

import torch

from frostline.core.cuts import Layout, TokenReading

_SPATIAL: dict[Layout, tuple[int, ...]] = {"NCHW": (2, 3), "NHWC": (1, 2), "NLC": (1,)}


def pooled(x: torch.Tensor, layout: Layout, tokens: TokenReading | None = None) -> torch.Tensor:
    """Mean and standard deviation over space, side by side, or what tokens are read as.

    Parameters
    ----------
    x : Tensor
        Activations of a batch in ``layout``.
    layout : {"NCHW", "NHWC", "NLC", "NC"}
    tokens : TokenReading or None, default=None
        How tokens of layout "NLC" are read; None takes them all alike.

    Returns
    -------
    Tensor of shape (n, k C) for k parts, two without ``tokens``; (n, C) for layout "NC", which has
    no space.
    """
    if layout == "NC":
        return x
    if tokens is not None:
        return _read(x, tokens)
    dims = _SPATIAL[layout]
    mean = x.mean(dim=dims, keepdim=True)
    # written out, not Tensor.std: exporters turn it into the same few operations everywhere
    spread = (x - mean).square().mean(dim=dims).add(1e-12).sqrt()
    return torch.cat([mean.flatten(1), spread], dim=1)


def _read(x: torch.Tensor, reading: TokenReading) -> torch.Tensor:
    x = _normalised(x, reading)
    # sliced from the front alone: the number of patches follows from the size of the images
    patches = x[:, reading.prefix_tokens :] if reading.prefix_tokens else x
    mean = patches.mean(dim=1, keepdim=True)
    found: list[torch.Tensor] = []
    for part in reading.parts:
        if part == "class":
            found.append(x[:, : reading.class_tokens].mean(dim=1))
        elif part == "mean":
            found.append(mean.flatten(1))
        else:
            found.append((patches - mean).square().mean(dim=1).add(1e-12).sqrt())
    return torch.cat(found, dim=1)


def _normalised(x: torch.Tensor, reading: TokenReading) -> torch.Tensor:
    """Bring every token to the same size, as the network's last norm layer does."""
    if reading.norm is None:
        return x
    if reading.norm == "layer":
        x = x - x.mean(dim=-1, keepdim=True)
    size = x.square().mean(dim=-1, keepdim=True).add(reading.epsilon).sqrt()
    return x / size
