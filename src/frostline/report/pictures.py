"""Pictures within a page: how many bytes they may take, and how they become addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image

from frostline.core.errors import InputError
from frostline.explain.gallery import Depth, Gallery, Tile

#: bytes of all pictures together; as text they take a third more
MOST_BYTES = 2_700_000
#: longest sides in pixels and JPEG qualities that are tried in turn
_STEPS = ((None, 0), (1200, 80), (224, 80), (160, 75), (128, 65), (96, 55))
#: filters and depths are wide and hold many small pictures
_WIDE = 4

_KINDS = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


def kind_of(picture: bytes) -> str:
    """Return ``jpeg`` or ``png``.

    Raises InputError if the bytes are neither.
    """
    for start, kind in _KINDS.items():
        if picture.startswith(start):
            return kind
    raise InputError("A picture of the report is neither JPEG nor PNG.")


def address(picture: bytes) -> str:
    """Return a ``data:`` address that holds the picture itself."""
    return f"data:image/{kind_of(picture)};base64,{base64.b64encode(picture).decode('ascii')}"


def weight(gallery: Gallery) -> int:
    """Return the bytes of all pictures together."""
    return sum(map(len, _every(gallery)))


def shrunk(gallery: Gallery, *, most: int = MOST_BYTES) -> Gallery:
    """Return the gallery with smaller pictures, and at last fewer, so that it keeps to ``most``.

    A gallery that keeps to it already is returned as it is.
    """
    for side, quality in _STEPS:
        if side is not None:
            gallery = _resized(gallery, side, quality)
        if weight(gallery) <= most:
            return gallery
    while weight(gallery) > most:
        fewer = _without_the_last(gallery)
        if fewer == gallery:
            return Gallery()
        gallery = fewer
    return gallery


def _every(gallery: Gallery) -> Iterator[bytes]:
    for tile in (*gallery.mistakes, *gallery.doubtful, *gallery.findings):
        yield tile.thumbnail
        yield tile.heat
    yield gallery.filters
    for depth in gallery.depths:
        yield depth.picture


def _resized(gallery: Gallery, side: int, quality: int) -> Gallery:
    def tiles(found: tuple[Tile, ...]) -> tuple[Tile, ...]:
        return tuple(
            replace(
                tile,
                thumbnail=_smaller(tile.thumbnail, side, quality),
                heat=_smaller(tile.heat, side, quality),
            )
            for tile in found
        )

    def wide(picture: bytes) -> bytes:
        return _smaller(picture, side * _WIDE, quality)

    return replace(
        gallery,
        mistakes=tiles(gallery.mistakes),
        doubtful=tiles(gallery.doubtful),
        findings=tiles(gallery.findings),
        filters=wide(gallery.filters),
        depths=tuple(
            Depth(layer=depth.layer, picture=wide(depth.picture), frozen=depth.frozen)
            for depth in gallery.depths
        ),
    )


def _smaller(picture: bytes, side: int, quality: int) -> bytes:
    """Return the picture as JPEG within ``side`` pixels, or as it was where that is no gain."""
    if not picture:
        return picture
    with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG")) as image:
        small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, format="JPEG", quality=quality, optimize=True)
    made = stream.getvalue()
    return made if len(made) < len(picture) else picture


def _without_the_last(gallery: Gallery) -> Gallery:
    """Drop what is missed least: the last tile of the longest list, then depths, then filters."""
    lists = ("findings", "doubtful", "mistakes")
    name = max(lists, key=lambda one: len(getattr(gallery, one)))
    if getattr(gallery, name):
        return replace(gallery, **{name: getattr(gallery, name)[:-1]})
    if gallery.depths:
        return replace(gallery, depths=gallery.depths[:-1])
    return replace(gallery, filters=b"")
