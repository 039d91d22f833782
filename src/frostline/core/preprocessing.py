"""The preprocessing that belongs to a set of weights; Pillow and NumPy only."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


# beyond this aspect ratio only the middle is resized: a 1 x 9000 strip would become gigapixels
MAX_ASPECT = 8
#: longest shorter side, in pixels, of a resized image
MAX_SIDE = 4096

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _without_extreme_sides(image: Image.Image) -> Image.Image:
    """Centre-crop the longer side to at most ``MAX_ASPECT`` times the shorter one."""
    width, height = image.size
    longest = MAX_ASPECT * min(width, height)
    if max(width, height) <= longest:
        return image
    left = max(0, (width - longest) // 2)
    top = max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


class Preprocessing(BaseModel):
    """How an RGB image becomes the array that a network was trained to see.

    The shorter side is resized to ``round(size / crop_pct)``, then the centre
    ``size`` x ``size`` is kept, then channels are normalised as ``(x / 255 - mean) / std``.

    - ``size``: side of the square network input, in pixels.
    - ``crop_pct``: share of the resized shorter side that the centre crop keeps, in (0, 1].
    - ``interpolation``: Pillow resampling, always antialiased.
    - ``mean`` and ``std``: per channel, on values scaled to [0, 1].
    - ``reading``: how a file becomes the RGB image; equal files read by other rules are other
      images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(default=224, ge=16, le=2048)
    crop_pct: float = Field(default=0.875, gt=0.0, le=1.0)
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    mean: tuple[_Finite, _Finite, _Finite] = (0.485, 0.456, 0.406)
    std: tuple[_Spread, _Spread, _Spread] = (0.229, 0.224, 0.225)
    reading: ReadingRules = DEFAULT_RULES

    @model_validator(mode="after")
    def _images_stay_small(self) -> Self:
        # a tiny share would ask for gigapixels
        if self.resize_to > MAX_SIDE:
            raise ValueError(
                f"images would be resized to {self.resize_to:,} pixels, the limit is {MAX_SIDE:,}"
            )
        return self

    @property
    def resize_to(self) -> int:
        """Length of the shorter side after resizing, in pixels."""
        return max(self.size, round(self.size / self.crop_pct))

    @property
    def decode_at_least(self) -> int:
        """Shorter side that a decoded image needs, in pixels: twice what it is resized to."""
        return 2 * self.resize_to

    def resized(self, image: Image.Image) -> Image.Image:
        """Return ``image`` (RGB) with its shorter side at ``resize_to``."""
        image = _without_extreme_sides(image)
        width, height = image.size
        short = min(width, height)
        if short == self.resize_to:
            return image
        scale = self.resize_to / short
        target = (
            max(self.resize_to, round(width * scale)),
            max(self.resize_to, round(height * scale)),
        )
        # reducing_gap would be faster but changes values; exactness matters more here
        return image.resize(target, _RESAMPLE[self.interpolation])

    def apply(self, image: Image.Image) -> UInt8Array:
        """Resize and crop an RGB image.

        The result has shape (size, size, 3).
        """
        resized = self.resized(image)
        left = (resized.width - self.size) // 2
        top = (resized.height - self.size) // 2
        box = (left, top, left + self.size, top + self.size)
        return np.asarray(resized.crop(box), dtype=np.uint8)

    def normalise(self, batch: UInt8Array) -> FloatArray:
        """Turn uint8 images into network input.

        ``batch``: shape (n, size, size, 3). The result has shape (n, 3, size, size).
        """
        scale = 1.0 / (255.0 * np.asarray(self.std, dtype=np.float32))
        shift = np.asarray(self.mean, dtype=np.float32) / np.asarray(self.std, dtype=np.float32)
        values = batch.astype(np.float32) * scale.astype(np.float32) - shift
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
