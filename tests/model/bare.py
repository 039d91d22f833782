"""Any module as a classifier, for files that are written of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from frostline.backbones.heads.classifier import Classifier, SingleClassifier
from frostline.backbones.heads.fitted_classifier import Array


class Bare(Classifier):
    """A module that gives logits, under its own names; nobody may ask for its head."""

    tensor_prefix = ""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    @property
    def averaged(self) -> Sequence[tuple[SingleClassifier, float]]:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.module(x)
        return logits

    def tensors(self) -> dict[str, Array]:
        return {name: tensor.numpy() for name, tensor in self.module.state_dict().items()}
