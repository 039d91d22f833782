"""Small picture files of bounded size."""

from __future__ import annotations

import io

from PIL import Image

#: side of a tile, in pixels
TILE = 128
#: bytes of a tile, at most
TILE_BYTES = 12_000

_QUALITIES = (85, 70, 50, 30)


def jpeg(image: Image.Image, *, most: int = TILE_BYTES) -> bytes:
    """Encode as JPEG of at most ``most`` bytes: first with less quality, then smaller."""
    while True:
        for quality in _QUALITIES:
            written = _encoded(image, "JPEG", quality=quality, optimize=True)
            if len(written) <= most or max(image.size) <= 8:
                return written
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)))


def png(image: Image.Image) -> bytes:
    """Encode as PNG."""
    return _encoded(image, "PNG", optimize=True)


def tile(image: Image.Image) -> bytes:
    """Encode a picture in its own shape, its longer side as long as a tile's."""
    scale = TILE / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    return jpeg(image.resize((width, height), Image.Resampling.LANCZOS))


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()
