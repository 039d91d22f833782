"""What can be told of an image apart from what it shows: camera, hour, size, brightness."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules
from frostline.data.decoding.decode import decode, exif_of, size_of
from frostline.data.decoding.thumbnails import thumbnail

_MAKE, _MODEL, _CHANGED, _EXIF, _TAKEN = 0x010F, 0x0110, 0x0132, 0x8769, 0x9003
_TIME = re.compile(r"\d{4}[:-]\d{2}[:-]\d{2}[ T](\d{2}):\d{2}")
#: pixels of the shorter side that tell brightness
_ENOUGH = 64
#: letters of a camera's name
_LONGEST = 60


@dataclass(frozen=True)
class ImageFacts:
    """Facts of one image.

    Attributes
    ----------
    width, height : int
        In pixels, as it is stored.
    brightness : float
        Mean luma, in [0, 1].
    camera : str
        Make and model by EXIF; empty where it does not say.
    hour : int or None
        In which it was taken, in [0, 24), by EXIF.
    """

    width: int
    height: int
    brightness: float
    camera: str = ""
    hour: int | None = None


def facts_of(
    content: bytes, *, name: str, max_pixels: int, rules: ReadingRules = DEFAULT_RULES
) -> ImageFacts:
    """Return the facts of an image file; takes and raises what ``decode`` does."""
    width, height = size_of(content, max_pixels=max_pixels, name=name)
    image = decode(content, max_pixels=max_pixels, name=name, at_least=_ENOUGH, rules=rules)
    said = exif_of(content, max_pixels=max_pixels)
    taken = said.get_ifd(_EXIF).get(_TAKEN) or said.get(_CHANGED)
    time = _TIME.match(taken.strip()) if isinstance(taken, str) else None
    hour = int(time.group(1)) if time else None
    return ImageFacts(
        width,
        height,
        brightness_of(image),
        _camera(said.get(_MAKE), said.get(_MODEL)),
        hour if hour is not None and hour < 24 else None,
    )


def brightness_of(image: Image.Image) -> float:
    """Return the mean luma of an image of mode RGB, in [0, 1]."""
    red, green, blue = thumbnail(image).reshape(-1, 3).mean(axis=0, dtype=np.float64)
    return float(0.299 * red + 0.587 * green + 0.114 * blue) / 255.0


def _camera(make: object, model: object) -> str:
    """Return make and model; many models begin with their make."""
    words = [_plain(make), _plain(model)]
    if words[1].lower().startswith(words[0].lower()):
        words = words[1:]
    return " ".join(filter(None, words))[:_LONGEST]


def _plain(text: object) -> str:
    if not isinstance(text, str):
        return ""
    return "".join(letter for letter in text if letter.isprintable()).strip()
