"""Small files that want much: memory, time or pixels out of all proportion to their bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG with the right checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, raw: bytes, *, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG written by hand, so that its header may claim anything."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(raw, 9))
    return b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")


def png_of_zeros(side: int) -> bytes:
    """A whole, black, square PNG: compressed a thousand times."""
    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed)
    return b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")


def png_with_zeros_as_text(n_bytes: int, kind: bytes = b"zTXt") -> bytes:
    """A PNG of one pixel whose compressed text unpacks to ``n_bytes``."""
    text = zlib.compress(bytes(n_bytes), 9)
    body = b"a\0\0" + text if kind == b"zTXt" else b"a\0\1\0\0\0" + text
    small = png(1, 1, b"\0\0")
    return small[:33] + png_chunk(kind, body) + small[33:]


def png_with_many_chunks(count: int) -> bytes:
    """A PNG of one pixel with ``count`` empty chunks that mean nothing."""
    small = png(1, 1, b"\0\0")
    return small[:33] + png_chunk(b"teSt", b"") * count + small[33:]


def tiff(
    entries: list[tuple[int, int, int, int]], data: bytes, *, offset: int | None = None
) -> bytes:
    """A little-endian TIFF of one directory; ``data`` follows at the end of the directory.

    Each entry is tag, type, count and value; the value -1 becomes the place of ``data``.
    """
    place = 8 + 2 + 12 * len(entries) + 4
    out = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries))
    for tag, kind, count, value in sorted(entries):
        where = (place if offset is None else offset) if value == -1 else value
        if kind == 3 and count == 1:
            out += struct.pack("<HHIHH", tag, kind, count, where, 0)
        else:
            out += struct.pack("<HHII", tag, kind, count, where)
    return out + struct.pack("<I", 0) + data


def tiff_of_large_tiles(side: int, tile: int) -> bytes:
    """A small picture in one deflated tile of ``tile`` x ``tile`` pixels."""
    packer = zlib.compressobj(9)
    row = bytes(tile)
    data = b"".join(packer.compress(row) for _ in range(tile)) + packer.flush()
    return tiff(
        [
            *[(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8)],
            *[(262, 3, 1, 1), (277, 3, 1, 1), (322, 4, 1, tile), (323, 4, 1, tile)],
            *[(324, 4, 1, -1), (325, 4, 1, len(data))],
        ],
        data,
    )


def tiff_of_overlapping_tags(tags: int, size: int) -> bytes:
    """A TIFF whose ``tags`` entries all claim the same ``size`` bytes."""
    data = bytes(size)
    return tiff(
        [
            *[(256, 4, 1, 2), (257, 4, 1, 2), (258, 3, 1, 8), (259, 3, 1, 1)],
            *[(262, 3, 1, 1), (273, 4, 1, -1), (277, 3, 1, 1), (279, 4, 1, 4)],
            *[(40_000 + i, 1, size, -1) for i in range(tags)],
        ],
        data,
    )


def exif_of_overlapping_tags(tags: int, size: int) -> bytes:
    """EXIF in which ``tags`` entries all claim the same ``size`` bytes."""
    return b"Exif\0\0" + tiff([(40_000 + i, 1, size, -1) for i in range(tags)], bytes(size))


def jpeg_of_many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose first scan of details is said again and again, each time empty."""
    stream = io.BytesIO()
    Image.new("L", (side, side), 128).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    start = content.index(b"\xff\xda", content.index(b"\xff\xda") + 2)
    end = content.find(b"\xff\xda", start + 2)
    # tables that belong to the next scan stand before its marker
    tables = content.find(b"\xff\xc4", start + 2)
    end = min(place for place in (end, tables, len(content) - 2) if place > 0)
    return content[:start] + content[start:end] * scans + content[end:]


def gif_of_large_frame(screen: int, frame: int) -> bytes:
    """A GIF whose only frame is larger than its screen."""
    head = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\x00;"


def gif_of_many_frames(count: int) -> bytes:
    """A GIF of one pixel and ``count`` frames."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return head + frame * count + b";"


def gif_of_long_comment(n_bytes: int) -> bytes:
    """A GIF of one pixel after a comment of ``n_bytes``."""
    whole = gif_of_many_frames(1)
    blocks = (b"\xff" + b"c" * 255) * (n_bytes // 255)
    return whole[:19] + b"!\xfe" + blocks + b"\0" + whole[19:]


def pgm_of_comments(side: int, n_bytes: int) -> bytes:
    """A plain PGM that consists of comments."""
    return b"P2\n%d %d\n255\n" % (side, side) + b"#\n" * (n_bytes // 2)


def bmp_that_jumps(width: int, *, height: int = 1) -> bytes:
    """A run-length coded BMP whose first instruction jumps 255 rows."""
    data = b"\0\2\xff\xff" * 4 + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 2, 0)
    offset = 14 + len(head) + 8
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + head + bytes(8) + data


#: by name: what makes the file
BOMBS: dict[str, Callable[[], bytes]] = {
    "header of 1.6 gigapixels": lambda: png(40_000, 40_000, b""),
    "header of 2^31 by 2^31": lambda: png(2**31 - 1, 2**31 - 1, b""),
    "zeros of 90 megapixels": lambda: png_of_zeros(9_500),
    "zeros as text": lambda: png_with_zeros_as_text(200_000_000),
    "zeros as international text": lambda: png_with_zeros_as_text(200_000_000, b"iTXt"),
    "100,000 chunks": lambda: png_with_many_chunks(100_000),
    "tile of 900 megapixels": lambda: tiff_of_large_tiles(16, 30_000),
    "overlapping tags": lambda: tiff_of_overlapping_tags(4_000, 1_000_000),
    "JPEG of 4,000 scans": lambda: jpeg_of_many_scans(4_000, 4_000),
    "frame beyond the screen": lambda: gif_of_large_frame(8, 65_000),
    "100,000 frames": lambda: gif_of_many_frames(100_000),
    "comment of 20 MB": lambda: gif_of_long_comment(20_000_000),
    "comments for pixels": lambda: pgm_of_comments(1_000, 4_000_000),
    "bitmap that jumps": lambda: bmp_that_jumps(90_000_000),
}
