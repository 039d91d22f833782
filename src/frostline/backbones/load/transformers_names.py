"""Networks of Hugging Face's transformers by the names that timm has for the same weights."""

from __future__ import annotations

import re
from collections.abc import Callable

#: sizes as transformers and timm write them
_SIZES = {"s": "small", "b": "base", "l": "large", "g": "giant", "h": "huge"}
_DINOV3 = {
    "vits16": "vit_small_patch16",
    "vits16plus": "vit_small_plus_patch16",
    "vitb16": "vit_base_patch16",
    "vitl16": "vit_large_patch16",
    "vith16plus": "vit_huge_plus_patch16",
    "vit7b16": "vit_7b_patch16",
}
_MOBILEVIT = {"small": "s", "x-small": "xs", "xx-small": "xxs"}


def timm_name_of(repository: str) -> str:
    """Return timm's name of the network in a repository of transformers; empty if none is known.

    ``repository``: OWNER/NAME. Only networks whose weights timm took from the same release are
    known here: the answer gives the same features, by another library.
    """
    lower = repository.lower()
    for pattern, name in _PATTERNS:
        found = re.fullmatch(pattern, lower)
        if found is not None:
            return name(found)
    return ""


def _plain(template: str) -> Callable[[re.Match[str]], str]:
    """Return what puts the parts of a match into a name."""
    return lambda found: template.format(*(part or "" for part in found.groups()))


def _dinov3(found: re.Match[str]) -> str:
    architecture = _DINOV3.get(found[1])
    return f"{architecture}_dinov3.{found[2]}" if architecture else ""


def _dino(found: re.Match[str]) -> str:
    return f"vit_{_SIZES[found[1]]}_patch{found[2]}_224.dino"


def _convnext(found: re.Match[str]) -> str:
    size, side, more = found.groups()
    tag = {"": "fb_in1k", "-22k": "fb_in22k", "-22k-1k": "fb_in22k_ft_in1k"}[more or ""]
    return f"convnext_{size}.{tag}{'_384' if side == '384' else ''}"


def _convnextv2(found: re.Match[str]) -> str:
    size, data, side = found.groups()
    tag = "fcmae_ft_in1k" if data == "1k" else "fcmae_ft_in22k_in1k"
    return f"convnextv2_{size}.{tag}{'_384' if side == '384' else ''}"


def _mobilevit(found: re.Match[str]) -> str:
    return f"mobilevit_{_MOBILEVIT[found[1]]}.cvnets_in1k"


def _deit(found: re.Match[str]) -> str:
    size, distilled, side = found.groups()
    return f"deit_{size}{'_distilled' if distilled else ''}_patch16_{side}.fb_in1k"


_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"facebook/dinov2-(small|base|large|giant)", _plain("vit_{}_patch14_dinov2.lvd142m")),
    (
        r"facebook/dinov2-with-registers-(small|base|large|giant)",
        _plain("vit_{}_patch14_reg4_dinov2.lvd142m"),
    ),
    (r"facebook/dinov3-(vit\w+?)-pretrain-(lvd1689m|sat493m)", _dinov3),
    (
        r"facebook/dinov3-convnext-(tiny|small|base|large)-pretrain-lvd1689m",
        _plain("convnext_{}.dinov3_lvd1689m"),
    ),
    (r"facebook/dino-vit([sb])(8|16)", _dino),
    (
        r"google/siglip-(base|large|so400m)-patch(\d+)-(\d+)",
        _plain("vit_{}_patch{}_siglip_{}.webli"),
    ),
    (
        r"google/siglip2-(base|large|so400m)-patch(\d+)-(\d+)",
        _plain("vit_{}_patch{}_siglip_{}.v2_webli"),
    ),
    (
        r"openai/clip-vit-(base|large)-patch(\d+)(?:-(336))?",
        lambda m: f"vit_{m[1]}_patch{m[2]}_clip_{m[3] or 224}.openai",
    ),
    (r"facebook/vit-mae-(base|large)", _plain("vit_{}_patch16_224.mae")),
    (r"facebook/vit-mae-huge", _plain("vit_huge_patch14_224.mae")),
    (r"facebook/deit-(tiny|small|base)(-distilled)?-patch16-(224|384)", _deit),
    (r"facebook/convnext-(tiny|small|base|large|xlarge)-(224|384)(-22k(?:-1k)?)?", _convnext),
    (r"facebook/convnextv2-(\w+)-(1k|22k)-(224|384)", _convnextv2),
    (
        r"microsoft/swin-(tiny|small|base|large)-patch4-window(7|12)-(224|384)",
        lambda m: (
            f"swin_{m[1]}_patch4_window{m[2]}_{m[3]}."
            + ("ms_in1k" if m[1] in ("tiny", "small") else "ms_in22k_ft_in1k")
        ),
    ),
    (
        r"microsoft/beit-(base|large)-patch16-(224|384)",
        _plain("beit_{}_patch16_{}.in22k_ft_in22k_in1k"),
    ),
    (r"apple/mobilevit-(small|x-small|xx-small)", _mobilevit),
    (r"facebook/levit-(128s|128|192|256|384)", _plain("levit_{}.fb_dist_in1k")),
)
