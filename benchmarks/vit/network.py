"""A small vision transformer, pretrained here on letters, for tests and benchmarks.

``glyph_vit.safetensors`` is made by ``python -m tools.pretrain_vit``, whose text says of what and
how. It shows how a transformer with a class token and registers is read, judged and trained; how
good one is that somebody else pretrained on photos, it does not show.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

from benchmarks.decision.glyphs import LATIN
from frostline.backbones.network import Network
from frostline.core.preprocessing import Preprocessing

WEIGHTS = Path(__file__).with_name("glyph_vit.safetensors")
#: 64 pictures of its pretraining, for ``pretrained_on``; made by ``python -m tools.vit_letters``
LETTERS = Path(__file__).with_name("letters")

SIZE, PATCH = 64, 8
REGISTERS = 4

#: what it learns to tell apart: no digit, and none of the Greek and Cyrillic letters that
#: benchmarks/decision keeps for its target sets
GLYPHS = (
    LATIN
    + "ÀÁÂÃÄÅÆÇÈÉÊËÌÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëñòóôõöøùúûüÿ"
    + "ĀĂĄĆČĎĐĒĖĘĚĞĢĦĪĮİĶĹĻĽŁŃŅŇŊŌŐŒŔŖŘŚŞŠŢŤŪŮŰŲŴŶŹŻ"
    + "ΓΔΘΛΞΠΣΦΨΩαικνρσςτυχ"
    + "ЂЄЇЉЊЋЌЎГЗЙЪЫЬЭЮбвдкнюэя"
    + "!#$%&()*+/<=>?@[]{}~£¥§©®¶±«»÷×†‡€≠"
)

PREPROCESSING = Preprocessing(
    size=SIZE, crop_pct=1.0, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)


def untrained() -> VisionTransformer:
    """Return the network with random weights: 69 tokens of 128 numbers, 6 blocks."""
    return VisionTransformer(
        img_size=SIZE,
        patch_size=PATCH,
        embed_dim=128,
        depth=6,
        num_heads=4,
        mlp_ratio=3.0,
        class_token=True,
        reg_tokens=REGISTERS,
        global_pool="token",
        num_classes=len(GLYPHS),
    )


def pretrained(weights: Path = WEIGHTS) -> VisionTransformer:
    """Return the network that reads letters, in eval mode."""
    net = untrained()
    net.load_state_dict({name: t.float() for name, t in load_file(weights).items()})
    return net.eval()


def load(weights: Path = WEIGHTS) -> Network:
    """Return the pretrained network as Frostline uses it."""
    return Network.load(
        pretrained(weights), example=torch.zeros(2, 3, SIZE, SIZE), preprocessing=PREPROCESSING
    )
