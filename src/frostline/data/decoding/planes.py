"""Colours that a TIFF file keeps plane by plane: all of the red first, then all of the green."""

from __future__ import annotations

from typing import Any

from PIL import ImageFile

from frostline.data.decoding.damage import DamageError

_BITS_PER_SAMPLE, _PLANAR, _TILE_WIDTH = 258, 284, 322
_SEPARATE = 2


def describe_planes(image: ImageFile.ImageFile) -> None:
    """Tell Pillow how planes without compression are laid out, before it loads the image.

    It takes one letter of the name of all colours for each plane, which means 8 bits: values of 16
    bits would be read as two pixels each. Where a tile reaches beyond the image, it takes a fourth
    band that no tag explains for wider rows. Compressed planes are read by libtiff, which knows.
    Raises DamageError if Pillow has no reader for such planes.
    """
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(_PLANAR) != _SEPARATE or not image.tile or image.tile[0].codec_name != "raw":
        return
    bits = max(tags.get(_BITS_PER_SAMPLE, (1,)))
    one_plane = image.mode.startswith("I;16")
    if bits > 8 and not one_plane and image.mode not in ("RGB", "RGBA", "I", "F"):
        raise DamageError(f"{bits}-bit {image.mode} in separate planes is not supported")
    order = "L" if tags.prefix == b"II" else "B"
    found = []
    for tile in image.tile:
        arguments: Any = tile.args
        plane, stride, *rest = arguments
        if image.mode == "RGB" and plane not in "RGB":
            continue  # a fourth band that means nothing
        if plane == "a":
            raise DamageError("colours multiplied by alpha in separate planes are not supported")
        name = f"{plane};16{order}" if bits > 8 and len(image.mode) > 1 else plane
        name = image.mode if one_plane else name
        width = tags.get(_TILE_WIDTH, 0) if stride else 0
        found.append(tile._replace(args=(name, width * bits // 8, *rest)))
    image.tile = found
