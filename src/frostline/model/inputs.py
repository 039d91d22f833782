"""What people hand to a model as an image: files, bytes, Pillow images, arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.errors import InputError
from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules
from frostline.data.decoding.conversion import rgb_from_array, rgb_from_pillow
from frostline.data.decoding.decode import decode
from frostline.data.decoding.image_refs import ImageRef, decode_ref

#: one image: a path, the bytes of a file, a Pillow image, uint8 of shape (H, W, 3) or (H, W), or
#: an image of a catalog
ImageLike = str | Path | bytes | Image.Image | npt.NDArray[np.uint8] | ImageRef

_ACCEPTED = (
    "Give a path, the bytes of a file, a Pillow image, or a uint8 array of shape (H, W, 3) "
    "or (H, W); or a sequence of them."
)


def as_sequence(images: ImageLike | Iterable[ImageLike]) -> Sequence[ImageLike]:
    """Return a sequence of images for one image, several, or an array of shape (N, H, W, 3).

    Raises InputError if it is no image and nothing to iterate over, or an array of another shape.
    """
    if isinstance(images, (str, Path, bytes, Image.Image, ImageRef)):
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
    image: ImageLike,
    *,
    name: str,
    max_pixels: int,
    at_least: int | None = None,
    rules: ReadingRules = DEFAULT_RULES,
) -> Image.Image:
    """Return any accepted image as a Pillow image of mode RGB, as training would have read it.

    ``at_least`` and ``rules`` are those of :func:`~frostline.data.decoding.decode.decode`. Raises
    UnreadableImageError if a file or a Pillow image cannot be decoded or has over ``max_pixels``
    pixels; InputError if it is nothing that :data:`ImageLike` names.
    """
    if isinstance(image, (str, Path, bytes)):
        source = image if isinstance(image, bytes) else Path(image)
        return decode(source, max_pixels=max_pixels, name=name, at_least=at_least, rules=rules)
    if isinstance(image, ImageRef):
        return decode_ref(image, name=name, max_pixels=max_pixels, at_least=at_least, rules=rules)
    if isinstance(image, Image.Image):
        return rgb_from_pillow(image, name=name, max_pixels=max_pixels, rules=rules)
    if isinstance(image, np.ndarray):
        return rgb_from_array(image, name=name)
    raise InputError(f"{name} is a {type(image).__name__}, not an image.", hint=_ACCEPTED)
