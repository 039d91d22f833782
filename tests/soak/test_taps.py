"""Taps of forty networks of over twenty families: what the network's own head reads, and names.

``pytest -m soak tests/soak/test_taps.py -k swin`` tries some. Random weights, moved off their
start; at the size that a network is made for, and at another where it has one.
"""

from __future__ import annotations

import pytest

from tests.backbones import taps_checks as checks

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore")]

#: by name, another size than its own; None where the weights' size is the only one
NETWORKS: dict[str, int | None] = {
    "vit_tiny_patch16_224": 160,
    "vit_small_patch14_reg4_dinov2": 224,
    "vit_base_patch16_siglip_224": 160,
    "vit_relpos_small_patch16_224": None,
    "vit_little_patch16_reg4_gap_256": 192,
    "deit_tiny_distilled_patch16_224": 160,
    "deit3_small_patch16_224": 160,
    "beit_base_patch16_224": None,
    "eva02_tiny_patch14_224": 280,
    "vit_small_patch16_dinov3": 160,
    "cait_xxs24_224": None,
    "xcit_nano_12_p16_224": 160,
    "convit_tiny": None,
    "volo_d1_224": None,
    "hiera_tiny_224": None,
    "mvitv2_tiny": None,
    "swin_tiny_patch4_window7_224": None,
    "swinv2_cr_tiny_ns_224": None,
    "pvt_v2_b0": 160,
    "twins_svt_small": None,
    "pit_ti_224": None,
    "tiny_vit_5m_224": None,
    "mixer_s32_224": None,
    "resmlp_12_224": None,
    "convnext_atto": 160,
    "convnextv2_atto": 160,
    "fastvit_t8": 192,
    "mobilenetv4_conv_small": 160,
    "mobilenetv3_small_050": 160,
    "levit_128s": None,
    "efficientformer_l1": None,
    "mobilevit_s": 192,
    "edgenext_xx_small": 192,
    "davit_tiny": None,
    "focalnet_tiny_srf": None,
    "poolformer_s12": 160,
    "caformer_s18": 160,
    "repvit_m0_9": 160,
    "resnet18": 96,
    "regnety_002": 96,
    "efficientnet_lite0": 96,
    "torchvision:vit_b_16": 160,
    "torchvision:swin_t": 160,
    "torchvision:convnext_tiny": 160,
}


@pytest.mark.parametrize(("name", "other"), list(NETWORKS.items()))
def test_taps_are_what_the_network_was_trained_to_give(name: str, other: int | None) -> None:
    own = checks.tried(name)
    sizes = [own] if other is None else [own, checks.tried(name, other)]
    for found in sizes:
        checks.check_last_tap(found)
        checks.check_width(found)
        checks.check_tokens(found)
    if len(sizes) > 1:
        checks.check_names(*sizes)
