"""The preprocessing that belongs to a set of weights; Pillow and NumPy only."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules
from frostline.core.settings import ResizeMode

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


#: what timm calls the ways to make a picture square
CROP_MODES: dict[ResizeMode, str] = {"crop": "center", "squash": "squash", "pad": "border"}


def resize_of(crop_mode: object) -> ResizeMode:
    """Return what timm's ``crop_mode`` is called here; anything else crops, as it does there."""
    return next((mode for mode, name in CROP_MODES.items() if name == crop_mode), "crop")


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

    The picture is resized by ``resize_to = round(size / crop_pct)``, then the centre
    ``size`` x ``size`` is kept, then channels are normalised as ``(x / 255 - mean) / std``.

    - ``size``: side of the square network input, in pixels.
    - ``resize``: ``crop``: the shorter side becomes ``resize_to`` long, so that the ends of the
      longer one are never seen; ``squash``: both sides do, whatever the aspect ratio was; ``pad``:
      the longer side does, and what is missing to a square gets the mean colour. These are timm's
      ``crop_mode`` of ``center``, ``squash`` and ``border``.
    - ``crop_pct``: share of ``resize_to`` that the centre crop keeps, in (0, 1].
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
    resize: ResizeMode = "crop"

    @model_serializer(mode="wrap")
    def _as_ever_where_cropped(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write the way only where it is not the crop: files and keys of that stay as they are."""
        found: dict[str, Any] = handler(self)
        if self.resize == "crop":
            found.pop("resize", None)
        return found

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
        """Side that the picture is resized by, in pixels; which side that is, says ``resize``."""
        return max(self.size, round(self.size / self.crop_pct))

    @property
    def decode_at_least(self) -> int:
        """Shorter side that a decoded image needs, in pixels: twice what it is resized to."""
        return 2 * self.resize_to

    @property
    def fill(self) -> tuple[int, int, int]:
        """RGB colour of what is padded: the mean colour of the weights, as timm rounds it."""
        red, green, blue = (min(255, max(0, round(255 * value))) for value in self.mean)
        return red, green, blue

    def with_resize(self, mode: ResizeMode) -> Preprocessing:
        """Return what makes pictures square in another way.

        Squashed pictures are cropped by ``crop_pct`` as before; padded ones are seen whole, unless
        the weights pad them by themselves.
        """
        if mode == self.resize:
            return self
        whole = {"crop_pct": 1.0} if mode == "pad" else {}
        return self.model_copy(update={"resize": mode, **whole})

    def resized(self, image: Image.Image) -> Image.Image:
        """Return an RGB image as large as ``resize`` wants it, with all that the crop may keep."""
        if self.resize == "crop":
            image = _without_extreme_sides(image)
        target = self._target(*image.size)
        if self.resize != "crop" and image.width != image.height:
            # the longer side first: which side Pillow begins with turns on its version
            wide = image.width > image.height
            first = (target[0], image.height) if wide else (image.width, target[1])
            image = image.resize(first, _RESAMPLE[self.interpolation])
        if image.size != target:
            # reducing_gap would be faster but changes values; exactness matters more here
            image = image.resize(target, _RESAMPLE[self.interpolation])
        return self._padded(image) if self.resize == "pad" else image

    def _target(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that a picture of some size is resized to."""
        side = self.resize_to
        if self.resize == "squash":
            return side, side
        if self.resize == "pad":
            # the order of operations is timm's
            ratio = max(width, height) / side
            return max(1, round(width / ratio)), max(1, round(height / ratio))
        scale = side / min(width, height)
        return max(side, round(width * scale)), max(side, round(height * scale))

    def _padded(self, image: Image.Image) -> Image.Image:
        side = self.resize_to
        if image.size == (side, side):
            return image
        canvas = Image.new("RGB", (side, side), self.fill)
        canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        return canvas

    def seen(self, sizes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return which share of its width and of its height is seen of each picture, (n, 2).

        What is seen lies around the middle. ``sizes``, shape (n, 2): width and height.
        """
        sides = np.asarray(sizes, dtype=np.int64)
        kept = self.size / self.resize_to
        if self.resize == "squash":
            return np.full(sides.shape, kept)
        fitted = sides.max(axis=1) if self.resize == "pad" else sides.min(axis=1)
        shares: npt.NDArray[np.float64] = np.minimum(1.0, kept * fitted[:, None] / sides)
        return shares

    def shown(self, width: int, height: int) -> tuple[float, float]:
        """Return which share of the network's input shows the picture, across and down.

        It lies around the middle; the rest was padded.
        """
        if self.resize != "pad":
            return 1.0, 1.0
        # a side that is longer than the input fills it
        scale = self.resize_to / (self.size * max(width, height))
        return min(1.0, scale * width), min(1.0, scale * height)

    def in_own_shape(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        """Return what a network sees of a picture of some size in that picture's shape again.

        Bars are cut off and squashing is undone; the longer side stays as long as it was. A crop
        is square and stays as it is. ``picture``: size x size, in any mode.
        """
        across, down = self.shown(width, height)
        wide, high = max(1, round(across * self.size)), max(1, round(down * self.size))
        left, top = (self.size - wide) // 2, (self.size - high) // 2
        picture = picture.crop((left, top, left + wide, top + high))
        if self.resize != "squash":
            return picture
        scale = self.size / max(width, height)
        own = max(1, round(width * scale)), max(1, round(height * scale))
        return picture.resize(own, Image.Resampling.BICUBIC)

    def apply(self, image: Image.Image) -> UInt8Array:
        """Make an RGB image as large as the network wants it.

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
