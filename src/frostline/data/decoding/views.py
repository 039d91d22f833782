"""Random views of an image for training; the randomness is keyed, so threads cannot change it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.arrays import FloatArray
from frostline.core.preprocessing import Preprocessing
from frostline.core.rng import keyed_bytes

Level = Literal["none", "light", "standard"]
Box = tuple[float, float, float, float]

_RESAMPLE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_JITTER = 0.2
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def training_view(
    image: Image.Image,
    preprocessing: Preprocessing,
    *,
    level: Level,
    flip: bool,
    seed: int,
    epoch: int,
    key: str,
) -> npt.NDArray[np.uint8]:
    """Return one view of an RGB image; equal arguments give equal views, everywhere.

    - ``image``: mode ``"RGB"``.
    - ``preprocessing``: gives size and interpolation.
    - ``level``: ``none`` is ``preprocessing.apply``. ``light`` crops a square of 80-100 % of the
      area of the largest centred one, shifted by at most 10 % of the shorter side. ``standard``
      crops 50-100 % of the image at an aspect ratio of 3/4 to 4/3 and changes brightness, contrast
      and saturation by at most 20 %.
    - ``flip``: mirror every second view, at levels other than ``none``.
    - ``key``: identity of the image, such as its content digest.
    - The result has shape (size, size, 3).
    """
    if level == "none":
        return preprocessing.apply(image)
    if level not in ("light", "standard"):
        raise ValueError(f"level must be 'none', 'light' or 'standard', not {level!r}")
    rng = _generator(seed, epoch, key)
    # a fixed number of draws in a fixed order, so that options do not shift each other's numbers
    draws = rng.random(32)
    box = _light_box(image.size, draws) if level == "light" else _standard_box(image.size, draws)
    size = (preprocessing.size, preprocessing.size)
    crop = image.resize(size, _RESAMPLE[preprocessing.interpolation], box=box)
    pixels: npt.NDArray[np.uint8] = np.array(crop, dtype=np.uint8)
    if flip and draws[0] < 0.5:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    return _jittered(pixels, draws[1:4]) if level == "standard" else pixels


def _generator(seed: int, epoch: int, key: str) -> np.random.Generator:
    number = int.from_bytes(keyed_bytes(seed, epoch, key), "little")
    return np.random.Generator(np.random.Philox(key=number))


def _light_box(size: tuple[int, int], draws: FloatArray) -> Box:
    width, height = size
    short = min(width, height)
    side = short * math.sqrt(0.8 + 0.2 * draws[4])
    left = (width - side) / 2 + 0.2 * short * (draws[5] - 0.5)
    top = (height - side) / 2 + 0.2 * short * (draws[6] - 0.5)
    return _inside(left, top, side, side, size)


def _standard_box(size: tuple[int, int], draws: FloatArray) -> Box:
    """Random resized crop; the largest window of a fair shape if five tries do not fit."""
    width, height = size
    low, high = math.log(3 / 4), math.log(4 / 3)
    for area, shape, x, y in draws[8:28].reshape(5, 4):
        ratio = math.exp(low + (high - low) * shape)
        pixels = width * height * (0.5 + 0.5 * area)
        w, h = math.sqrt(pixels * ratio), math.sqrt(pixels / ratio)
        if w <= width and h <= height:
            left, top = x * (width - w), y * (height - h)
            return _inside(left, top, w, h, size)
    # as large as the aspect ratio allows; the window slides along the longer side
    w, h = min(width, height * 4 / 3), min(height, width * 4 / 3)
    left, top = draws[28] * (width - w), draws[29] * (height - h)
    return _inside(left, top, w, h, size)


def _inside(left: float, top: float, w: float, h: float, size: tuple[int, int]) -> Box:
    """Shift a window into the image; rounding must not carry it over the edge either."""
    left = min(max(left, 0.0), size[0] - w)
    top = min(max(top, 0.0), size[1] - h)
    return left, top, min(left + w, float(size[0])), min(top + h, float(size[1]))


def _jittered(pixels: npt.NDArray[np.uint8], draws: FloatArray) -> npt.NDArray[np.uint8]:
    """Change brightness, then contrast around the mean grey, then saturation around each grey."""
    brightness, contrast, saturation = (1.0 + _JITTER * (2.0 * draws - 1.0)).astype(np.float32)
    values = pixels.astype(np.float32) * brightness
    # einsum, not matmul: the same numbers on every number of threads
    middle = np.float32(np.einsum("hwc,c->hw", values, _LUMA).mean(dtype=np.float64))
    values = (values - middle) * contrast + middle
    grey = np.einsum("hwc,c->hw", values, _LUMA)[..., None]
    values = (values - grey) * saturation + grey
    jittered: npt.NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return jittered
