"""What people hand to a model as an image: files, bytes, Pillow images, arrays."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from frostline.errors import InputError, UnreadableImageError
from frostline.images.decode import decode

#: one image: a path, the bytes of a file, a Pillow image, or uint8 of shape (H, W, 3) or (H, W)
ImageLike = str | Path | bytes | Image.Image | npt.NDArray[np.uint8]

_ACCEPTED = (
    "Give a path, the bytes of a file, a Pillow image, or a uint8 array of shape (H, W, 3) "
    "or (H, W); or a sequence of them."
)


def as_sequence(images: ImageLike | Iterable[ImageLike]) -> Sequence[ImageLike]:
    """Return a sequence of images for one image, several, or an array of shape (N, H, W, 3).

    Raises
    ------
    InputError
        If it is no image and nothing to iterate over, or an array of another shape.
    """
    if isinstance(images, (str, Path, bytes, Image.Image)):
        return [images]
    if isinstance(images, np.ndarray):
        if images.ndim == 4:
            return list(images)
        return [images]
    if isinstance(images, Sequence):
        return cast(Sequence[ImageLike], images)
    if isinstance(images, Iterable):
        return list(images)
    raise InputError(f"{type(images).__name__} is not an image.", hint=_ACCEPTED)


def name_of(image: Any, index: int) -> str:
    """Return what to call an image in results: its path, or its place in the sequence."""
    return str(image) if isinstance(image, (str, Path)) else f"image {index}"


def to_rgb(
    image: ImageLike, *, name: str, max_pixels: int, at_least: int | None = None
) -> Image.Image:
    """Return any accepted image as a Pillow image of mode RGB, as training would have read it.

    ``at_least`` is that of :func:`~frostline.images.decode.decode`.

    Raises
    ------
    UnreadableImageError
        If a file or a Pillow image cannot be decoded or has over ``max_pixels`` pixels.
    InputError
        If it is nothing that :data:`ImageLike` names.
    """
    if isinstance(image, (str, Path)):
        return decode(Path(image), max_pixels=max_pixels, name=name, at_least=at_least)
    if isinstance(image, bytes):
        return decode(image, max_pixels=max_pixels, name=name, at_least=at_least)
    if isinstance(image, Image.Image):
        return _from_pillow(image, name=name, max_pixels=max_pixels)
    if isinstance(image, np.ndarray):
        return _from_array(image, name=name)
    raise InputError(f"{name} is a {type(image).__name__}, not an image.", hint=_ACCEPTED)


def _from_array(array: npt.NDArray[Any], *, name: str) -> Image.Image:
    if array.dtype != np.uint8:
        raise InputError(
            f"{name} is an array of {array.dtype}; expected uint8 with values from 0 to 255.",
            hint="Values in [0, 1] become that by (255 * x).round().astype('uint8').",
        )
    grey = array.ndim == 2
    if not grey and (array.ndim != 3 or array.shape[2] != 3):
        raise InputError(
            f"{name} is an array of shape {array.shape}; expected (H, W, 3) or (H, W).",
            hint="Channels come last, in the order red, green, blue.",
        )
    if array.size == 0:
        raise InputError(f"{name} is an array of shape {array.shape}, without any pixel.")
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGB")


def _from_pillow(image: Image.Image, *, name: str, max_pixels: int) -> Image.Image:
    if image.width * image.height > max_pixels:
        limit = f"{image.width} x {image.height} pixels, the limit is {max_pixels:,}"
        raise UnreadableImageError(name, limit)
    try:
        # a file that Pillow opened but did not read yet is read here
        upright = ImageOps.exif_transpose(image)
        # transparency and deep greys follow the decoder's rules, so they pass through it
        deep = upright.mode == "F" or upright.mode.startswith("I")
        if not deep and not upright.has_transparency_data:
            return upright.convert("RGB")
        content = io.BytesIO()
        if deep:
            upright.save(content, "TIFF")
        else:
            upright.convert("RGBA").save(content, "PNG", compress_level=0)
    except (OSError, ValueError, SyntaxError, KeyError) as error:
        reason = "truncated" if "truncat" in str(error) else "damaged"
        raise UnreadableImageError(name, reason) from error
    return decode(content.getvalue(), max_pixels=max_pixels, name=name)
