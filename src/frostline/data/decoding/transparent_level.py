"""The one grey or colour that a PNG file calls transparent, in the values that Pillow loads.

The file names it in its own bits; Pillow stretches greys of 1, 2 and 4 bits to 8, and keeps the
upper half of 16-bit colours, but leaves the name as it is.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFile

from frostline.data.decoding.greys import over_white

#: where an image keeps it until it is converted
_LEVEL = "frostline_transparent"
#: how many times larger greys are after loading, by what the file holds
_FACTORS = {"1": 255, "L;2": 85, "L;4": 17}


def note_level(image: ImageFile.ImageFile) -> None:
    """Remember the level of a PNG image that is not loaded yet: later nobody knows its bits."""
    level = image.info.get("transparency")
    if image.format != "PNG" or not image.tile or level is None:
        return
    held = image.tile[0][3]
    if isinstance(level, int) and held in _FACTORS:
        image.info[_LEVEL] = level * _FACTORS[held]
    elif isinstance(level, tuple) and held == "RGB;16B":
        image.info[_LEVEL] = tuple(value >> 8 for value in level)


def take_level(image: Image.Image) -> None:
    """Let Pillow compare the pixels of a loaded image with what they are compared with."""
    if _LEVEL in image.info:
        image.info["transparency"] = image.info.pop(_LEVEL)


def clear_level(image: Image.Image, rgb: Image.Image) -> Image.Image:
    """Return the RGB version of a 16-bit grey PNG image, white where its level is the clear one."""
    level = image.info.get("transparency")
    if image.format != "PNG" or not isinstance(level, int):
        return rgb
    solid = np.asarray(image) != level
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(solid.astype(np.uint8) * 255))
    return over_white(rgba)
