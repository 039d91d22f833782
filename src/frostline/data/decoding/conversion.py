"""Arrays and Pillow images become plain RGB, by the rules of the decoder; nothing is guessed."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from frostline.core.errors import ImageFault, InputError, UnreadableImageError
from frostline.core.reading_rules import DEFAULT_RULES, ReadingRules
from frostline.data.decoding.damage import DamageError
from frostline.data.decoding.decode import N_PIXELS, decode
from frostline.data.decoding.greys import is_deep
from frostline.data.decoding.rgb import to_rgb

#: no limit of its own: what is in memory already is no decompression bomb
ANY_SIZE = 2**62


def rgb_from_array(array: npt.NDArray[Any], *, name: str) -> Image.Image:
    """Return an array as a Pillow image of mode RGB.

    Raises InputError for another shape or type; the message says how to convert it.

    Parameters
    ----------
    array : ndarray of shape (H, W, 3), (H, W, 1) or (H, W), uint8
        Red, green, blue; or grey.
    name : str
        What to call it in errors.
    """
    check_pixels(array.dtype, array.shape, name=name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGB")


def check_pixels(dtype: np.dtype[Any], shape: tuple[int, ...], *, name: str) -> None:
    """Refuse what is no picture of 8-bit grey or RGB values.

    Raises InputError.

    ``shape``: of one image. ``name``: what to call it in errors.
    """
    if dtype != np.uint8:
        raise InputError(
            f"{name} is an array of {dtype}; expected uint8 with values from 0 to 255.",
            hint="Values in [0, 1] become that by (255 * x).round().astype('uint8').",
        )
    if len(shape) != 2 and not (len(shape) == 3 and shape[2] in (1, 3)):
        raise InputError(
            f"{name} is an array of shape {shape}; expected (H, W, 3) or (H, W).",
            hint=_advice(shape),
        )
    if 0 in shape:
        raise InputError(f"{name} is an array of shape {shape}, without any pixel.")


def _advice(shape: tuple[int, ...]) -> str:
    """Say how an array of another shape becomes a picture."""
    if len(shape) == 3 and shape[2] == 4:
        return (
            "If the fourth channel is transparency, give Image.fromarray(x, 'RGBA'), which is "
            "shown on white; or leave it out: x[..., :3]."
        )
    if len(shape) == 3 and shape[0] in (1, 3):
        return "Channels come last: x.transpose(1, 2, 0) of each image."
    return "Channels come last, in the order red, green, blue."


def rgb_from_pillow(
    image: Image.Image,
    *,
    name: str,
    max_pixels: int = ANY_SIZE,
    rules: ReadingRules = DEFAULT_RULES,
) -> Image.Image:
    """Return a Pillow image in mode RGB, as if it had been read from its file.

    Raises UnreadableImageError if it has over ``max_pixels`` pixels, its values mean nothing under
    the rules, or a file that was not read yet is damaged.
    """
    if image.width * image.height > max_pixels:
        limit = f"{image.width} x {image.height} pixels, the limit is {max_pixels:,}"
        raise UnreadableImageError(name, limit, ImageFault.TOO_MANY_PIXELS)
    found = upright_or_file(image, name=name)
    if isinstance(found, bytes):
        return decode(found, max_pixels=max_pixels, name=name, rules=rules)
    try:
        return found.convert("RGB") if rules.version == 1 else to_rgb(found, rules)
    except DamageError as error:
        raise UnreadableImageError(name, str(error), error.fault) from None


def upright_or_file(image: Image.Image, *, name: str) -> Image.Image | bytes:
    """Return a Pillow image the right way up, or as the file that holds all that it says.

    Transparency and greys of more than 8 bits mean what the rules of a set make of them, so they
    pass through the decoder. Raises UnreadableImageError if a file that was not read yet is
    damaged.
    """
    try:
        # a file that Pillow opened but did not read yet is read here
        upright = ImageOps.exif_transpose(image)
        deep = is_deep(upright)
        if not deep and not upright.has_transparency_data:
            upright.load()
            return upright
        content = io.BytesIO()
        if deep:
            upright.save(content, "TIFF")
        else:
            upright.convert("RGBA").save(content, "PNG", compress_level=0)
    except (OSError, ValueError, SyntaxError, KeyError) as error:
        if "truncat" in str(error):
            raise UnreadableImageError(name, "truncated", ImageFault.TRUNCATED) from error
        raise UnreadableImageError(name, "damaged") from error
    return content.getvalue()


def counted(image: Image.Image) -> Image.Image:
    """Return an RGB image that says how many pixels it has, as decoded ones do."""
    image.info = {N_PIXELS: image.width * image.height}
    return image
