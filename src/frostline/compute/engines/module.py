"""A frozen module as engines see it: uint8 images in, eval mode, its own number of threads."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from frostline.core.preprocessing import Preprocessing


class UInt8Input(nn.Module):
    """Puts normalisation in front of a module, so that it takes images as they are stored.

    Input: uint8 tensor of shape (n, size, size, 3). A batch in this order is already what
    PyTorch calls channels-last once its axes are renamed, so nothing is copied.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, module: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.module = module
        # the same float32 constants as in Preprocessing.normalise, so the bits are the same
        std = np.asarray(preprocessing.std, dtype=np.float32)
        mean = np.asarray(preprocessing.mean, dtype=np.float32)
        scale = (1.0 / (255.0 * std)).astype(np.float32)
        self.register_buffer("scale", torch.from_numpy(scale).reshape(1, 3, 1, 1))
        self.register_buffer("shift", torch.from_numpy(mean / std).reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = images.permute(0, 3, 1, 2).float() * self.scale - self.shift
        result: torch.Tensor = self.module(values)
        return result
