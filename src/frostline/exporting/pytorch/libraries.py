"""Networks as timm and torchvision build them, for files that their users load."""

from __future__ import annotations

from dataclasses import dataclass

import timm
from torch import nn

from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.torchvision_names import PREFIX, names
from frostline.exporting.library_names import TIMM, TORCHVISION


@dataclass(frozen=True)
class Architecture:
    """A network by the name that its library gives it.

    Attributes
    ----------
    library : {"timm", "torchvision"}
    """

    library: str
    name: str

    def build(self, n_outputs: int) -> nn.Module:
        """Return the network with random weights and ``n_outputs`` outputs.

        With 0, a network of timm gives its deepest feature map. Raises RuntimeError, TypeError
        or ValueError if the library cannot.
        """
        if self.library == TORCHVISION:
            from torchvision import models

            net: nn.Module = models.get_model(self.name, weights=None, num_classes=n_outputs)
        elif n_outputs:
            net = timm.create_model(self.name, pretrained=False, num_classes=n_outputs)
        else:
            net = timm.create_model(self.name, pretrained=False, num_classes=0, global_pool="")
        return net.eval()

    def code(self, n_outputs: int) -> str:
        """Return :meth:`build` as a user writes it."""
        if self.library == TORCHVISION:
            return f'torchvision.models.get_model("{self.name}", num_classes={n_outputs})'
        pool = "" if n_outputs else ', global_pool=""'
        return f'timm.create_model("{self.name}", num_classes={n_outputs}{pool})'


def architecture_of(backbone: str) -> Architecture | None:
    """Find what a backbone is called in its library; None if it is of neither."""
    if backbone.startswith(PREFIX):
        name = backbone.removeprefix(PREFIX).partition(".")[0]
        return Architecture(TORCHVISION, name) if name in names() else None
    bundled = BUNDLED.get(backbone)
    # a tag names pretrained weights, which are not needed
    name = bundled.architecture if bundled else backbone.partition(".")[0]
    return Architecture(TIMM, name) if timm.is_model(name) else None
