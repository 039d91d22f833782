"""Pooled activations: mean and spread over space, for every layout."""

from __future__ import annotations

import torch

from frostline.core.cuts import Layout

_SPATIAL: dict[Layout, tuple[int, ...]] = {"NCHW": (2, 3), "NHWC": (1, 2), "NLC": (1,)}


def pooled_mean(x: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Average over space: (n, C) from a map or tokens in ``layout``."""
    return x if layout == "NC" else x.mean(dim=_SPATIAL[layout])


def pooled(x: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Mean and standard deviation over space, side by side.

    Parameters
    ----------
    x : Tensor
        Activations of a batch in ``layout``.
    layout : {"NCHW", "NHWC", "NLC", "NC"}

    Returns
    -------
    Tensor of shape (n, 2 C), or (n, C) for layout "NC", which has no space.
    """
    if layout == "NC":
        return x
    dims = _SPATIAL[layout]
    mean = x.mean(dim=dims, keepdim=True)
    # written out, not Tensor.std: exporters turn it into the same few operations everywhere
    spread = (x - mean).square().mean(dim=dims).add(1e-12).sqrt()
    return torch.cat([mean.flatten(1), spread], dim=1)
