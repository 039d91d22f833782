"""What a small file may want beyond its pixels: scans, chunks, tiles and comments without end.

The size in an image's header is bounded by the decoder. These are the other numbers that a file
chooses and that a codec believes.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import IO

from PIL import ImageFile

from frostline.core.errors import ImageFault
from frostline.data.decoding.damage import DamageError

#: larger image files are refused unread; the formats of cameras and scanners end here as well
FILE_BYTES = 2**32
#: cameras and editors write at most a dozen scans, and a picture or two beside the main one
MOST_SCANS = 500
#: libpng writes one chunk for every 8 KB
MOST_CHUNKS = 200_000
#: the plain forms of PPM are written by hand, with a comment or two
MOST_COMMENTS = 1_000

_BLOCK = 2**20
#: no file of this size can hold too many of anything
_SMALL = 12 * MOST_CHUNKS
#: within compressed data 0xff is followed by zero, or by the number of a restart
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_SCAN, _END = 0xDA, 0xD9
_TILE_WIDTH, _TILE_LENGTH = 322, 323


def check_chunks(stream: IO[bytes]) -> None:
    """Refuse a PNG file of too many chunks.

    Pillow looks at each of them before it knows the picture. Raises DamageError.
    """
    size = stream.seek(0, os.SEEK_END)
    if size <= _SMALL:
        return
    place, count = 8, 0
    while place + 8 <= size:
        stream.seek(place)
        length, kind = struct.unpack(">I4s", stream.read(8))
        # what lies behind the end is nobody's chunk
        if kind == b"IEND":
            break
        place += 12 + length
        count += 1
        if count > MOST_CHUNKS:
            raise DamageError(f"more than {MOST_CHUNKS:,} chunks")


def check_file(image: ImageFile.ImageFile, stream: IO[bytes], max_pixels: int) -> None:
    """Refuse a file whose header was read and that wants too much besides.

    Raises DamageError.

    ``image``: not loaded yet. ``stream``: the image's own; where it stood it stands again.
    ``max_pixels``: what an image, and so a tile of it, may have.
    """
    if image.format in ("JPEG", "MPO") and _has_more_scans(stream, MOST_SCANS):
        raise DamageError(f"more than {MOST_SCANS:,} scans")
    plain = image.format == "PPM" and image.tile and image.tile[0][0] == "ppm_plain"
    if plain and _count(stream, b"#", MOST_COMMENTS) > MOST_COMMENTS:
        raise DamageError(f"more than {MOST_COMMENTS:,} comments")
    if image.format == "TIFF":
        width, length = (_number(image, tag) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        # a tile is unpacked whole, however little of it lies within the image
        if width * length > max_pixels:
            said = f"tiles of {width * length / 1e6:,.0f} megapixels"
            raise DamageError(said, ImageFault.TOO_MANY_PIXELS)


def _number(image: ImageFile.ImageFile, tag: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, 0)
    return value if isinstance(value, int) else 0


def _has_more_scans(stream: IO[bytes], enough: int) -> bool:
    """Whether the first picture of a JPEG file has more scans; what follows it does not count.

    Telephones append a film to the picture, in which any bytes may stand.
    """
    before = stream.tell()
    stream.seek(2)
    scans = 0
    while scans <= enough and (marker := _next_marker(stream)) not in (None, _END):
        scans += marker == _SCAN
        length = stream.read(2)
        stream.seek(max(0, int.from_bytes(length, "big") - 2), os.SEEK_CUR)
    stream.seek(before)
    return scans > enough


def _next_marker(stream: IO[bytes]) -> int | None:
    """Go behind the next marker that begins a segment or ends the picture, and return it."""
    size = 64
    while block := stream.read(size):
        found = _MARKER.search(block)
        if found is not None:
            stream.seek(found.end() - len(block), os.SEEK_CUR)
            return found[0][1]
        if len(block) < 2:
            return None
        # one may lie across two blocks
        stream.seek(-1, os.SEEK_CUR)
        size = min(2 * size, _BLOCK)
    return None


def _count(stream: IO[bytes], wanted: bytes, enough: int) -> int:
    """Count ``wanted`` in a file until there are more than ``enough``."""
    before = stream.tell()
    count, end = 0, b""
    stream.seek(0)
    for block in _blocks(stream):
        count += (end + block).count(wanted)
        if count > enough:
            break
        # one that lies across two blocks
        end = block[len(block) - len(wanted) + 1 :]
    stream.seek(before)
    return count


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block
