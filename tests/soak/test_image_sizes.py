"""Networks of many families at sizes that they were not made for: same names, same cuts."""

from __future__ import annotations

import pytest
import torch

from frostline.backbones.network import Network
from frostline.core.errors import ImageSizeError

pytestmark = pytest.mark.soak

#: every one of them is taken by its own library, too
SIZES = {
    "vit_tiny_patch16_224": (160, 200, 384),
    "vit_small_patch14_dinov2": (224, 154, 256),
    "vit_small_patch14_reg4_dinov2": (224,),
    "vit_tiny_patch16_dinov3_qkvb": (224, 160),
    "eva02_tiny_patch14_224": (336, 154),
    "beit_base_patch16_224": (160,),
    "deit_tiny_distilled_patch16_224": (160,),
    "vit_base_patch16_siglip_224": (160,),
    "vit_relpos_small_patch16_224": (160,),
    "cait_xxs24_224": (160,),
    "pit_ti_224": (160,),
    "swin_tiny_patch4_window7_224": (160, 256),
    "swinv2_tiny_window8_256": (224,),
    "levit_128s": (160, 256),
    "efficientformerv2_s0": (160,),
    "hiera_tiny_224": (160,),
    "mvitv2_tiny": (160, 200),
    "maxvit_tiny_rw_224": (160,),
    "coatnet_nano_rw_224": (160,),
    "tiny_vit_5m_224": (160,),
    "efficientvit_m0": (160,),
    "volo_d1_224": (160,),
    "twins_svt_small": (160,),
    "xcit_nano_12_p16_224": (160,),
    "convnext_atto": (160, 288),
    "efficientformer_l1": (200, 208),
    "fastvit_t8": (160, 224),
    "mobilevit_xxs": (224,),
    "repvgg_a0": (160,),
    "torchvision:vit_b_16": (160, 192),
    "torchvision:swin_t": (160,),
}


@pytest.mark.parametrize("name", SIZES)
def test_names_and_cuts_stay_at_other_sizes(name: str) -> None:
    torch.manual_seed(0)
    own = Network.load(name, pretrained=False)
    for size in SIZES[name]:
        other = Network.load(name, pretrained=False, size=size)
        assert other.example_shape[-1] == other.preprocessing.size == size
        assert [cut.name for cut in other.cuts] == [cut.name for cut in own.cuts]
        assert other.last.name == own.last.name
        assert other.macs != own.macs


@pytest.mark.parametrize(
    ("name", "size", "sizes"),
    [
        ("vit_tiny_patch16_dinov3_qkvb", 200, (192, 208)),
        ("levit_128s", 150, (144, 160)),
        ("efficientformer_l1", 160, (208,)),
        ("torchvision:vit_b_16", 200, (192, 208)),
    ],
)
def test_other_sizes_are_refused_with_those_that_work(
    name: str, size: int, sizes: tuple[int, ...]
) -> None:
    with pytest.raises(ImageSizeError) as refused:
        Network.load(name, pretrained=False, size=size)
    assert refused.value.sizes == sizes
    assert "--input-size" in refused.value.hint
    assert "example" not in str(refused.value)
    for near in sizes:
        assert Network.load(name, pretrained=False, size=near).preprocessing.size == near
