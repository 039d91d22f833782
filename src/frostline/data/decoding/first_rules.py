"""Pixels as models of formats 1 to 3 read them; kept so that they predict what they did."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.data.decoding.damage import DamageError
from frostline.data.decoding.greys import FROM_16_BITS, by_rows, is_deep, over_white, scaled


def rgb_by_first_rules(image: Image.Image) -> Image.Image:
    """Convert a loaded image of any mode to RGB: version 1 of the reading rules."""
    if is_deep(image):
        return _grey(image)
    if image.mode == "LAB":
        raise DamageError("colour mode LAB is not supported")
    if image.has_transparency_data:
        return over_white(image.convert("RGBA"))
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "F":
        grey = _float_grey(values)
    elif image.mode.startswith("I;16") or image.format in {"PNG", "PPM"}:
        grey = by_rows(values, lambda rows: FROM_16_BITS[np.clip(rows, 0, 65535)])
    else:
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 65535:
            low, high = 0.0, 255.0 if high <= 255 else 65535.0
        grey = by_rows(values, lambda rows: scaled(rows, low, high))
    return Image.fromarray(grey).convert("RGB")


def _float_grey(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Values in [0, 1] or [0, 255] keep their meaning; any other range is stretched."""
    finite = np.isfinite(values)
    if not finite.any():
        raise DamageError("no finite pixel values")
    low = float(values.min(where=finite, initial=np.inf))
    high = float(values.max(where=finite, initial=-np.inf))
    lowest, highest = low, high
    if low >= 0 and high <= 255:
        low, high = 0.0, 1.0 if high <= 1 else 255.0

    def scale(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        rows = np.nan_to_num(rows, nan=lowest, posinf=highest, neginf=lowest)
        return scaled(rows, low, high)

    return by_rows(values, scale)
