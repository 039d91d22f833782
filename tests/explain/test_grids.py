"""Values are drawn where they lie in the image: true grids, and true sizes of what is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

from frostline.backbones.network import Network
from frostline.core.cuts import Cut
from frostline.core.errors import BackboneError
from frostline.explain.responses import as_maps, depths

pytestmark = pytest.mark.slow

_TINY = {"embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": 3}


@pytest.mark.parametrize(
    ("image", "patch", "registers", "grid"),
    [
        # nine tokens are no grid of three by three
        ((32, 32), 16, 4, (2, 2)),
        ((32, 64), 16, 0, (2, 4)),
        ((64, 32), 16, 3, (4, 2)),
        ((48, 48), 16, 0, (3, 3)),
    ],
)
def test_patches_lie_in_their_true_grid(
    image: tuple[int, int], patch: int, registers: int, grid: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    module = VisionTransformer(img_size=image, patch_size=patch, reg_tokens=registers, **_TINY)
    example = torch.randn(2, 3, *image)
    network = Network.load(module.eval(), example=example)
    tokens = [cut for cut in network.feature_cuts if cut.layout == "NLC"]
    assert len(tokens) >= 3
    assert [cut.grid for cut in tokens] == [grid] * len(tokens)
    last = network.cut("norm")
    with torch.no_grad():
        found = module.forward_features(example)
    maps = as_maps(found.numpy(), last)
    patches = found[:, 1 + registers :].mT.reshape(2, 24, *grid)
    np.testing.assert_array_equal(maps, patches.numpy())


def test_tokens_of_unknown_order_are_not_drawn() -> None:
    cut = Cut("x", (), 0, 0, (7, 4), "NLC", 4, 0, 0, 0, 0, True, None)
    assert cut.grid is None
    with pytest.raises(BackboneError, match="places of the tokens at x are unknown"):
        as_maps(np.zeros((1, 7, 4)), cut)


def test_windows_see_windows() -> None:
    torch.manual_seed(0)
    module = SwinTransformer(
        img_size=64, patch_size=2, window_size=4, embed_dim=12, depths=(2, 2), num_heads=(2, 2)
    ).eval()
    network = Network.load(module, example=torch.randn(2, 3, 64, 64))
    fields = {cut.name: cut.receptive_field for cut in network.feature_cuts}
    assert fields["patch_embed"] == 2
    # a window of 4 x 4 places of 2 pixels, then one that was moved by half of it
    assert fields["layers.0.blocks.0"] == 8
    assert all(cut.grid == cut.shape[:2] for cut in depths(network))
    # by gradients: from which pixels the value in the middle gets anything
    for cut in network.feature_cuts:
        if cut.layout != "NHWC" or cut.receptive_field is None:
            continue
        x = torch.randn(1, 3, 64, 64, requires_grad=True)
        with torch.enable_grad():
            (out,) = network.ends([cut.name])(x)
            value = out[0, out.shape[1] // 2, out.shape[2] // 2]
            # a norm layer leaves no gradient of the sum
            (value * torch.arange(len(value))).sum().backward()
        assert x.grad is not None
        rows = (x.grad[0].abs().sum(dim=(0, 2)) > 1e-20).nonzero().flatten()
        assert int(rows[-1] - rows[0]) + 1 == cut.receptive_field, cut.name
