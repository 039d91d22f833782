"""Which networks are tried, and at which sizes."""

from __future__ import annotations

from dataclasses import dataclass

#: sides of images, in pixels, at which every network is tried
SIZES = (200, 256)
#: networks of larger images are opened at their own size, and not at every one of these
LARGE = 300


@dataclass(frozen=True)
class Choice:
    """A network, a size off its own that it is fitted at as well, and what is trained of it.

    ``trained``: whether each kind of training runs for one epoch.
    """

    name: str
    off: int
    trained: bool = False


#: the smallest member that people use of each family
NETWORKS = (
    Choice("efficientnet_lite0", 160),
    Choice("vit_tiny_patch16_224", 160, trained=True),
    Choice("convnext_atto", 160, trained=True),
    Choice("levit_128s", 160),
    Choice("mobilenetv4_conv_small", 160),
    Choice("vit_small_patch14_dinov2", 154),
    Choice("vit_small_patch16_dinov3", 160),
    Choice("vit_tiny_patch16_dinov3_qkvb", 160),
    Choice("eva02_tiny_patch14_224", 336),
    Choice("vit_base_patch32_siglip_256", 224),
    Choice("swin_tiny_patch4_window7_224", 160),
    Choice("swinv2_tiny_window8_256", 224),
    Choice("convnextv2_atto", 160),
    Choice("fastvit_t8", 224),
    Choice("mobileone_s0", 160),
    Choice("repvgg_a0", 160),
    Choice("resnet18", 160),
    Choice("regnety_002", 160),
    Choice("efficientformer_l1", 200),
    Choice("mobilevit_xxs", 192),
    Choice("crossvit_tiny_240", 224),
)
