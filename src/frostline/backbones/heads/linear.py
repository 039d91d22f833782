"""The linear layer of every head: how it starts, and how a closed-form solution gets into it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn


def new_linear(width: int, n_outputs: int) -> nn.Linear:
    """Return a layer with small random weights and no biases."""
    layer = nn.Linear(width, n_outputs)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


def set_linear(layer: nn.Linear, weight: npt.ArrayLike, bias: npt.ArrayLike) -> None:
    """Copy weights of shape (width, n_outputs) and biases of shape (n_outputs,) into a layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(np.asarray(weight).T)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
