"""New layers between what is kept and the new classifier: on maps of either order, on tokens."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from frostline.core.cuts import Cut, Layout
from frostline.core.errors import PlanError

#: width of a new block, at most: enough to mix what is kept, small enough for few images
_WIDE = 256
#: channels of an attention head, as in nearly every transformer
_HEAD = 64


class MapBlock(nn.Sequential):
    """A 1x1 convolution, a norm layer and a nonlinearity; a map comes out in the order it came in.

    ``layout``: "NCHW" or "NHWC".
    """

    def __init__(self, channels: int, wide: int, layout: Layout) -> None:
        super().__init__(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU())
        self._last = layout == "NHWC"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map of ``wide`` channels from one of ``channels``."""
        x = self._channels_first(x)
        for layer in self:
            x = layer(x)
        return x.permute(0, 2, 3, 1) if self._last else x

    @property
    def norm(self) -> nn.BatchNorm2d:
        """The layer whose statistics say nothing until they are estimated."""
        return cast(nn.BatchNorm2d, self[1])

    def before_norm(self, x: torch.Tensor) -> torch.Tensor:
        """What reaches the norm layer, (n, wide, h, w)."""
        found: torch.Tensor = self[0](self._channels_first(x))
        return found

    def _channels_first(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 3, 1, 2) if self._last else x


class TokenBlock(nn.Module):
    """One round of attention among tokens, all of them, at the block's own width.

    Kept layers of a transformer that end early have not yet gathered in the class token, or in each
    patch, what the others know; a layer that looks at one token at a time could not do it for them.
    """

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.heads = max(1, wide // _HEAD)
        wide -= wide % self.heads
        self.norm_in = nn.LayerNorm(channels)
        self.proj_in = nn.Linear(channels, wide)
        self.norm = nn.LayerNorm(wide)
        self.qkv = nn.Linear(wide, 3 * wide)
        self.proj = nn.Linear(wide, wide)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens (n, L, wide) from tokens (n, L, channels)."""
        x = self.proj_in(self.norm_in(x))
        parts = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind(0)
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        found: torch.Tensor = self.act(x + self.proj(seen))
        return found


def new_layers(cut: Cut) -> tuple[nn.Module, int]:
    """Return new layers for what passes at a cut, and the number of channels they give.

    Raises PlanError where one vector passes, which a linear classifier reads as well.
    """
    wide = min(2 * cut.channels, _WIDE)
    if cut.layout == "NC":
        raise PlanError(
            f"new_block needs a feature map or tokens at {cut.name!r}, where one vector passes.",
            hint="Set new_block to false.",
        )
    if cut.layout == "NLC":
        block = TokenBlock(cut.channels, wide)
        return block, block.proj.out_features
    return MapBlock(cut.channels, wide, cut.layout), wide
