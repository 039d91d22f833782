"""Small drawing helpers: a colour scale, tiles in a grid, lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from frostline.core.arrays import FloatArray

UInt8Array = npt.NDArray[np.uint8]

BACKGROUND = (255, 255, 255)
# between pieces of a picture that is shown on a page: right on a light one and on a dark one
BETWEEN = (128, 128, 128)
INK = (38, 50, 56)

# dark blue over teal to yellow: readable in grey and by colour-blind people
_SCALE = np.array(
    [[27, 30, 84], [38, 84, 140], [33, 145, 140], [122, 199, 90], [253, 231, 37]], dtype=np.float64
)


def coloured(values: npt.ArrayLike) -> UInt8Array:
    """Turn values in [0, 1] into colours: (h, w) to (h, w, 3)."""
    level = np.clip(np.asarray(values, dtype=np.float64), 0, 1) * (len(_SCALE) - 1)
    places = np.arange(len(_SCALE))
    channels = [np.interp(level, places, _SCALE[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def stretched(values: npt.ArrayLike) -> FloatArray:
    """Stretch values to [0, 1]; constant ones become 0.5."""
    found = np.asarray(values, dtype=np.float64)
    low, high = float(found.min()), float(found.max())
    return (found - low) / (high - low) if high > low else np.full(found.shape, 0.5)


def grid(
    tiles: Sequence[Image.Image],
    columns: int,
    gap: int = 4,
    *,
    background: tuple[int, int, int] = BACKGROUND,
) -> Image.Image:
    """Lay equal tiles out in rows."""
    width, height = tiles[0].size
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    canvas = Image.new(
        "RGB", (columns * (width + gap) + gap, rows * (height + gap) + gap), background
    )
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        canvas.paste(tile, (gap + column * (width + gap), gap + row * (height + gap)))
    return canvas


def with_text(image: Image.Image, lines: Sequence[str], size: int = 16) -> Image.Image:
    """Put lines of text above an image; the canvas widens if the text needs it."""
    font = ImageFont.load_default(size)
    line = size + 6
    widest = max(int(font.getlength(text)) for text in lines)
    canvas = Image.new(
        "RGB", (max(image.width, widest + 16), image.height + line * len(lines) + 8), BACKGROUND
    )
    draw = ImageDraw.Draw(canvas)
    for i, text in enumerate(lines):
        draw.text((8, 6 + i * line), text, fill=INK, font=font)
    canvas.paste(image, (0, line * len(lines) + 8))
    return canvas


def stacked(images: Sequence[Image.Image], gap: int = 6) -> Image.Image:
    """Put images below each other, left-aligned."""
    width = max(image.width for image in images)
    height = sum(image.height + gap for image in images)
    canvas = Image.new("RGB", (width, height), BACKGROUND)
    top = 0
    for image in images:
        canvas.paste(image, (0, top))
        top += image.height + gap
    return canvas
