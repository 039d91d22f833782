"""What a layer is, as far as its class tells it; a locked layer is taken for what it was.

Norm and dropout layers of PyTorch, of the libraries and of users have no base class in common. What
they share is a word in the name of their class, which is read here and nowhere else.
"""

from __future__ import annotations

from torch import nn

from frostline.backbones.freeze.eval_mode import original_class


def is_norm(layer: nn.Module) -> bool:
    """Whether a layer normalises, with statistics of its own or without."""
    return "Norm" in original_class(layer).__name__


def has_statistics(layer: nn.Module) -> bool:
    """Whether a layer normalises by statistics that change with its mode."""
    return isinstance(layer, nn.modules.batchnorm._NormBase)


def is_dropout(layer: nn.Module) -> bool:
    """Whether a layer leaves values out while it trains."""
    return "drop" in original_class(layer).__name__.lower()
