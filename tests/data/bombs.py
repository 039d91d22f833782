"""Small image files that want much: memory, time or pixels out of all proportion to their bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    """An ordinary small picture as a file."""
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG with the right checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_by_hand(
    width: int, height: int, packed: bytes, *, depth: int = 8, colour: int = 0, more: bytes = b""
) -> bytes:
    """A PNG whose header may claim anything, with these compressed rows, and ``more`` chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def png_with(chunks: bytes) -> bytes:
    """An ordinary PNG with more chunks behind its header."""
    whole = encoded("PNG")
    return whole[:33] + chunks + whole[33:]


def png_of_zeros(width: int, height: int, *, rows: int | None = None) -> bytes:
    """A black PNG, compressed a thousand times; with ``rows`` it has fewer than it claims."""
    packer = zlib.compressobj(9)
    row = bytes(width + 1) if rows != 0 else b""
    n_rows = height if rows is None else rows
    packed = b"".join(packer.compress(row) for _ in range(n_rows)) + packer.flush()
    return png_by_hand(width, height, packed)


def tiff(entries: list[tuple[int, int, int, int]], data: bytes) -> bytes:
    """A little-endian TIFF of one directory with ``data`` behind it.

    Each entry is tag, type, count and value; the value -1 becomes the place of ``data``.
    """
    place = 8 + 2 + 12 * len(entries) + 4
    directory = b"".join(
        struct.pack("<HHII", tag, kind, count, place if value == -1 else value)
        for tag, kind, count, value in sorted(entries)
    )
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + data


def large_tile() -> bytes:
    """A picture of 16 x 16 pixels that lies in one tile of 30,000 x 30,000."""
    values = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 30_000, 323: 30_000, 324: -1}
    data = zlib.compress(bytes(9))
    return tiff([(tag, 4, 1, v) for tag, v in (values | {325: len(data)}).items()], data)


def overlapping_tags(tags: int, size: int) -> bytes:
    """A TIFF whose ``tags`` entries all claim the same ``size`` bytes."""
    values = {256: 2, 257: 2, 258: 8, 259: 1, 262: 1, 273: -1, 277: 1, 279: 4}
    entries = [(tag, 4, 1, value) for tag, value in values.items()]
    return tiff([*entries, *((40_000 + i, 1, size, -1) for i in range(tags))], bytes(size))


def many_scans(count: int = 501, *, side: int = 32, hidden: bool = False) -> bytes:
    """A progressive JPEG that refines its picture again and again, perhaps behind a false end."""
    stream = io.BytesIO()
    Image.new("L", (side, side), 128).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    scan = content.index(b"\xff\xda", content.index(b"\xff\xda") + 2)
    end = next(at for at in range(scan + 2, len(content)) if content[at : at + 2] == b"\xff\xc4")
    comment = b"\xff\xfe\0\4\xff\xd9" if hidden else b""
    return content[:scan] + comment + content[scan:end] * count + content[end:]


def gif(body: bytes, *, screen: int = 1) -> bytes:
    """A GIF with this behind its header."""
    return b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6) + body + b";"


def gif_frame(side: int) -> bytes:
    """One frame of a GIF."""
    return b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00"


def bmp_that_jumps(width: int) -> bytes:
    """A run-length coded BMP whose first instruction jumps 255 rows."""
    data = b"\0\2\xff\xff" * 4 + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, width, 1, 1, 8, 1, len(data), 0, 0, 2, 0)
    offset = 14 + len(head) + 8
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + head + bytes(8) + data


#: by name: what makes the file
BOMBS: dict[str, Callable[[], bytes]] = {
    "header of 1.6 gigapixels": lambda: png_of_zeros(40_000, 40_000, rows=0),
    "header of 2^31 by 2^31": lambda: png_of_zeros(2**31 - 1, 2**31 - 1, rows=0),
    "zeros of 90 megapixels": lambda: png_of_zeros(9_500, 9_500),
    "zeros as text": lambda: png_with(
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))
    ),
    "zeros as international text": lambda: png_with(
        chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(200_000_000), 9))
    ),
    "100,000 chunks": lambda: png_with(chunk(b"teSt", b"") * 100_000),
    "tile of 900 megapixels": large_tile,
    "overlapping tags": lambda: overlapping_tags(4_000, 1_000_000),
    "JPEG of 4,000 scans": lambda: many_scans(4_000, side=4_000),
    "frame beyond the screen": lambda: gif(gif_frame(65_000), screen=8),
    "100,000 frames": lambda: gif(gif_frame(1) * 100_000),
    "comment of 20 MB": lambda: gif(
        b"!\xfe" + (b"\xff" + b"c" * 255) * 80_000 + b"\0" + gif_frame(1)
    ),
    "comments for pixels": lambda: b"P2\n999 999\n255\n" + b"#\n" * 2_000_000,
    "bitmap that jumps": lambda: bmp_that_jumps(90_000_000),
}
