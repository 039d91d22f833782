"""Feed images that Pillow has prepared to a graph that prepares images itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frostline.core.preprocessing import Preprocessing, UInt8Array


def on_canvas(
    images: Sequence[UInt8Array] | UInt8Array, preprocessing: Preprocessing
) -> UInt8Array:
    """Lay prepared images on squares that the exported graph neither resizes nor cuts into.

    The graph leaves an image alone whose shorter side is ``resize_to``, and then keeps its
    centre. So an image in the middle of such a square reaches the network pixel by pixel.

    ``images``, shape (size, size, 3): as :meth:`Preprocessing.apply` gives them. The result has
    shape (n, resize_to, resize_to, 3).
    """
    side, size = preprocessing.resize_to, preprocessing.size
    start = (side - size) // 2
    canvas = np.zeros((len(images), side, side, 3), dtype=np.uint8)
    for place, image in zip(canvas, images, strict=True):
        place[start : start + size, start : start + size] = image
    return canvas
