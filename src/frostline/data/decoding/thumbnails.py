"""Tiny pictures of whole images, the material of the near-duplicate search."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

#: side of a thumbnail in pixels
SIDE = 32


def thumbnail(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Shrink (or enlarge) a whole RGB image to a square, whatever its aspect ratio.

    Resampling is antialiased, so that copies of one picture at different sizes or JPEG
    qualities get nearly the same thumbnail.

    ``image``: mode ``"RGB"``. The result has shape (32, 32, 3).
    """
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)
