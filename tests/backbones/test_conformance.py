"""Every promise about cutting and freezing, on a dozen very different families."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import timm
import torch
from timm.models.levit import Levit
from timm.models.mlp_mixer import MlpMixer
from timm.models.swin_transformer import SwinTransformer
from torch import nn
from torchvision import models

from frostline.backbones.conformance import check
from tests.backbones.shaken import shake

pytestmark = pytest.mark.slow

DROPS = {"drop_rate": 0.2, "drop_path_rate": 0.2}


def from_timm(name: str, size: int, **options: object) -> tuple[nn.Module, int]:
    return timm.create_model(name, pretrained=False, **options), size


def with_group_norm() -> tuple[nn.Module, int]:
    norm = partial(nn.GroupNorm, 4)
    return models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], norm_layer=norm), 64


FAMILIES: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "CNN, BatchNorm": lambda: from_timm("test_resnet", 96, **DROPS),
    "CNN, GroupNorm": with_group_norm,
    "depthwise, squeeze-excite": lambda: from_timm("mobilenetv3_small_050", 64, **DROPS),
    "depthwise": lambda: from_timm("test_efficientnet", 96, **DROPS),
    "densely connected": lambda: (models.DenseNet(16, (2, 2, 2), 16), 64),
    "normaliser-free": lambda: from_timm("test_nfnet", 96, **DROPS),
    "ViT": lambda: from_timm("test_vit", 64, img_size=64, **DROPS),
    "ViT, relative positions": lambda: from_timm("test_vit_relpos", 64, img_size=64, **DROPS),
    "Swin": lambda: (
        SwinTransformer(
            img_size=64, window_size=4, embed_dim=32, depths=(2, 2), num_heads=(2, 4), **DROPS
        ),
        64,
    ),
    "ConvNeXt": lambda: from_timm("test_convnext", 96, **DROPS),
    "MLP-Mixer": lambda: (
        MlpMixer(img_size=64, patch_size=8, num_blocks=3, embed_dim=64, **DROPS),
        64,
    ),
    "hybrid": lambda: from_timm("test_coatnet", 64, img_size=64, **DROPS),
    "caches in eval mode": lambda: (
        Levit(img_size=64, embed_dim=(32, 48, 64), key_dim=8, depth=(1, 1, 1), num_heads=(2, 3, 4)),
        64,
    ),
    "torchvision, dropout in forward": lambda: (models.squeezenet1_1(weights=None), 64),
    "torchvision ViT": lambda: (models.VisionTransformer(32, 8, 2, 2, 32, 64, dropout=0.1), 32),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_promise_holds(family: str) -> None:
    torch.manual_seed(0)
    module, size = FAMILIES[family]()
    shake(module)
    result = check(module.eval(), torch.randn(2, 3, size, size))
    assert result.error == ""
    assert result.failures == {}
    assert result.passed


def test_two_streams_have_no_cut_and_say_so() -> None:
    module = timm.create_model("crossvit_tiny_240", pretrained=False).eval()
    result = check(module, torch.randn(2, 3, 240, 240))
    assert not result.passed
    assert "no place where a single tensor passes" in result.error
