"""Greys with more than 8 bits, and transparency, become plain 8-bit RGB by one rule for a set."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.reading_rules import ReadingRules, ValueRange
from frostline.data.decoding.damage import DamageError

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _SIGNED = 258, 339, 2
_PIXELS_AT_A_TIME = 2**20
_NOT_LEARNED = "and no image of training had such, so nobody knows which is black and which white"

#: 8-bit values by 16-bit ones
FROM_16_BITS = np.rint(np.arange(65536) / 257.0).astype(np.uint8)


def is_deep(image: Image.Image) -> bool:
    """Whether pixels are single numbers of more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def is_white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF file counts from white to black; Pillow turns only 8 bits and fewer round."""
    return getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def has_16_bits(image: Image.Image) -> bool:
    """Whether integers of a deep image have 16 bits without sign, by definition."""
    return image.mode.startswith("I;16") or image.format in {"PNG", "PPM"}


def deep_to_rgb(image: Image.Image, rules: ReadingRules) -> Image.Image:
    """Return a deep image in mode RGB.

    Raises DamageError if the rules do not say what its values mean, or none of them is a number.
    """
    values = np.asarray(image)
    if image.mode == "F":
        if rules.floats is None:
            raise DamageError(f"floating-point values, {_NOT_LEARNED}")
        grey = _floats(values, rules.floats)
    elif rules.integers is not None:
        grey = _integers(values, rules.integers)
    elif has_16_bits(image):
        grey = by_rows(values, lambda rows: FROM_16_BITS[np.clip(rows, 0, 65535)])
    else:
        raise DamageError(f"{_integers_in_words(image)}, {_NOT_LEARNED}")
    if is_white_is_zero(image):
        grey = 255 - grey
    return Image.fromarray(grey).convert("RGB")


def _integers_in_words(image: Image.Image) -> str:
    """Say what a file holds; Pillow keeps every such integer in 32 bits."""
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS_PER_SAMPLE, (32,)))
    sign = "signed " if max(tags.get(_SAMPLE_FORMAT, (1,))) == _SIGNED else ""
    return f"{sign}{bits}-bit values"


def over_white(rgba: Image.Image) -> Image.Image:
    """Lay an image of mode RGBA over white."""
    ground = Image.new("RGB", rgba.size, "white")
    ground.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return ground


def _integers(values: npt.NDArray[Any], wanted: ValueRange) -> npt.NDArray[np.uint8]:
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        table = _table(wanted)
        return by_rows(values, lambda rows: table[rows])
    return by_rows(values, lambda rows: scaled(rows, wanted.low, wanted.high))


@lru_cache(maxsize=8)
def _table(wanted: ValueRange) -> npt.NDArray[np.uint8]:
    return scaled(np.arange(65536), wanted.low, wanted.high)


def _floats(values: npt.NDArray[np.float32], wanted: ValueRange) -> npt.NDArray[np.uint8]:
    """Scale floating-point greys; what is no number is black."""
    if not np.isfinite(values).any():
        raise DamageError("no finite pixel values")

    def scale(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        rows = np.nan_to_num(rows, nan=wanted.low, posinf=wanted.high, neginf=wanted.low)
        return scaled(rows, wanted.low, wanted.high)

    return by_rows(values, scale)


def by_rows(
    values: npt.NDArray[Any], scale: Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8]:
    """Scale a few rows at a time: what lies between takes eight bytes a pixel, several times."""
    grey = np.empty(values.shape, dtype=np.uint8)
    step = max(1, _PIXELS_AT_A_TIME // max(1, values.shape[1]))
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        grey[rows] = scale(values[rows])
    return grey


def scaled(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Return 8-bit values in which ``low`` is 0 and ``high`` is 255."""
    span = max(high - low, 1e-30)
    shares = (values.astype(np.float64) - low) / span * 255.0
    return np.clip(np.rint(shares), 0, 255).astype(np.uint8)
