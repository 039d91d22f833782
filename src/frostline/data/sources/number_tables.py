"""Tables of numbers as pictures, for those who ask for it: every row becomes one image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.errors import InputError, SettingsError
from frostline.data.sources.in_memory import Range, as_pixels

#: how rows become images: the shape that they were flattened from, or a tile for every number
ImageShape = tuple[int, ...] | str

TILES = "tiles"
#: pictures of tiles have at least this side, in pixels
_SIDE = 32
#: of tiles without a number
_GREY = 128


def images_of_rows(
    table: npt.NDArray[Any],
    image_shape: ImageShape,
    *,
    pixel_range: Range | None,
    clip: bool = False,
) -> npt.NDArray[np.uint8]:
    """Turn every row of a table into an image.

    Raises InputError if the rows have another length, or values that are no pixels.

    Parameters
    ----------
    table : ndarray of shape (n, d)
    image_shape : (H, W), (H, W, 3) or "tiles"
        A row is an image of this shape, flattened; or every number is a square tile of grey, in
        rows from the top left, in a picture as square as can be.
    pixel_range : (float, float) or None
        What is black and what is white; None for a table of uint8.
    clip : bool, default=False
        Whether values beyond the range are clipped instead of refused.

    Returns
    -------
    ndarray of shape (n, H, W) or (n, H, W, 3), uint8
    """
    n, d = table.shape
    if image_shape == TILES:
        return _tiles(as_pixels(table, pixel_range, name="X", clip=clip))
    shape = tuple(int(side) for side in image_shape)
    if math.prod(shape) != d:
        raise InputError(
            f"X has {d} columns, but an image of image_shape={shape} has {math.prod(shape)} values."
        )
    return as_pixels(table, pixel_range, name="X", clip=clip).reshape(n, *shape)


def check_image_shape(image_shape: Any) -> ImageShape:
    """Return what says how rows become images, made sure that it does.

    Raises SettingsError.
    """
    if isinstance(image_shape, str) and image_shape == TILES:
        return image_shape
    if isinstance(image_shape, (tuple, list)):
        whole = all(isinstance(side, (int, np.integer)) and side > 0 for side in image_shape)
        if whole and (len(image_shape) == 2 or (len(image_shape) == 3 and image_shape[2] == 3)):
            return tuple(int(side) for side in image_shape)
    raise SettingsError(
        f"image_shape cannot be {image_shape!r}: expected (H, W), (H, W, 3) or {TILES!r}."
    )


def _tiles(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    n, d = pixels.shape
    across = math.ceil(math.sqrt(d))
    down = math.ceil(d / across)
    grid = np.full((n, down * across), _GREY, dtype=np.uint8)
    grid[:, :d] = pixels
    side = math.ceil(_SIDE / down)
    return grid.reshape(n, down, across).repeat(side, axis=1).repeat(side, axis=2)
