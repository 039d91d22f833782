"""A loaded image of any mode becomes RGB, by the rules that its set is read by."""

from __future__ import annotations

from PIL import Image

from frostline.core.reading_rules import ReadingRules
from frostline.data.decoding.colour import to_srgb
from frostline.data.decoding.damage import DamageError
from frostline.data.decoding.first_rules import rgb_by_first_rules
from frostline.data.decoding.greys import deep_to_rgb, is_deep, over_white
from frostline.data.decoding.transparent_level import clear_level, take_level

_EXTRA_SAMPLES = 338
#: modes whose last band a camera may have measured
_FOUR_BANDS = ("RGBA", "LA")


def to_rgb(image: Image.Image, rules: ReadingRules) -> Image.Image:
    """Return a loaded image in mode RGB, detached from its file.

    Raises DamageError if its values mean nothing under these rules.
    """
    if rules.version == 1:
        return rgb_by_first_rules(image)
    take_level(image)
    if is_deep(image):
        return clear_level(image, deep_to_rgb(image, rules))
    if image.mode == "LAB":
        raise DamageError("colour mode LAB is not supported")
    if has_alpha(image) and not (rules.fourth_band == "ignored" and image.mode in _FOUR_BANDS):
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        colours = to_srgb(_with_profile_of(image, rgba.convert("RGB")))
        colours.putalpha(rgba.getchannel("A"))
        return over_white(colours)
    return image.copy() if image.mode == "RGB" and not _profile(image) else to_srgb(image)


def has_alpha(image: Image.Image) -> bool:
    """Whether an image says that parts of it are transparent, and may mean that.

    A fourth band of a TIFF file that its tags say nothing of is none, and neither is one of a BMP
    file that is zero throughout: there it is room that nobody used.
    """
    if not image.has_transparency_data:
        return False
    if image.format == "TIFF" and image.mode == "RGBA":
        return bool(getattr(image, "tag_v2", {}).get(_EXTRA_SAMPLES))
    if image.format == "BMP" and image.mode == "RGBA":
        return image.getchannel("A").getextrema() != (0, 0)
    return True


def _profile(image: Image.Image) -> bytes | None:
    found = image.info.get("icc_profile")
    return found if isinstance(found, bytes) and found else None


def _with_profile_of(image: Image.Image, colours: Image.Image) -> Image.Image:
    colours.info = {"icc_profile": _profile(image)} if _profile(image) else {}
    return colours
