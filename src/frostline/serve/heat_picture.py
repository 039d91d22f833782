"""Draw a heat map as a transparent picture to lay over an image."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from frostline.core.arrays import FloatArray
from frostline.core.preprocessing import UInt8Array

#: brings a square picture into the shape of the image that it was made from
Shaped = Callable[[Image.Image], Image.Image]

# orange and blue stay apart for colour-blind people, on dark images and on light ones
_FOR, _AGAINST = (255, 112, 0), (0, 112, 255)
_OPAQUE = 0.8


def overlay(heat: FloatArray, shaped: Shaped = lambda square: square) -> str:
    """Return a heat map as the data URI of a PNG.

    ``heat``, shape (h, w): above zero is drawn in orange, below in blue; the farthest from zero is
    nearly opaque, zero is clear.
    """
    strongest = float(np.abs(heat).max(initial=0.0))
    share = heat / strongest if strongest > 0 else np.zeros_like(heat)
    picture = np.empty((*heat.shape, 4), dtype=np.uint8)
    picture[..., :3] = np.where((share > 0)[..., None], _FOR, _AGAINST)
    picture[..., 3] = np.rint(255 * _OPAQUE * np.abs(share))
    return _uri(shaped(Image.fromarray(picture)), "PNG")


def picture_of(image: UInt8Array, shaped: Shaped = lambda square: square) -> str:
    """Return an image (h, w, 3) as the data URI of a JPEG."""
    return _uri(shaped(Image.fromarray(image)), "JPEG")


def _uri(picture: Image.Image, kind: str) -> str:
    content = io.BytesIO()
    picture.save(content, kind)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"
