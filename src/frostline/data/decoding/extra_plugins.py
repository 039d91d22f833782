"""HEIC and JPEG XL, read by libraries that are installed with the extras heif and jxl."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import IO, Any

from PIL import ImageFile

from frostline.data.decoding.file_kinds import HEIF_BRANDS

#: what opens a file, and what tells by its first 16 bytes whether it can
Plugin = tuple[Callable[[IO[bytes], str], ImageFile.ImageFile], Callable[[bytes], bool | str]]

#: endings of the files of each
EXTRA_ENDINGS = {"HEIF": ("heic", "heif", "hif"), "JXL": ("jxl",)}

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"


def extra_plugins() -> dict[str, Plugin]:
    """Return the plugins that are installed; nothing of Pillow's own is changed by it."""
    found: dict[str, Plugin] = {}
    if importlib.util.find_spec("pillow_heif") is not None:
        found["HEIF"] = (_open_heif, lambda head: _is_heif(head))
    if importlib.util.find_spec("pillow_jxl") is not None:
        found["JXL"] = (_open_jxl, lambda head: head.startswith((_CODESTREAM, _CONTAINER)))
    return found


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


def _open_heif(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    # imported when the first such file is met: it takes a while, and few sets have one
    plugin: Any = importlib.import_module("pillow_heif.as_plugin")
    image: ImageFile.ImageFile = plugin.HeifImageFile(stream, name)
    return image


def _open_jxl(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    plugin: Any = importlib.import_module("pillow_jxl.JpegXLImagePlugin")
    image: ImageFile.ImageFile = plugin.JXLImageFile(stream, name)
    if not getattr(image, "jpeg", False):
        # the codestream says how pictures are turned, which the library has done; what EXIF says
        # counts for JPEG files within alone
        image.info.pop("exif", None)
    return image


def jxl_sides(stream: IO[bytes]) -> tuple[int, int] | None:
    """Return width and height by the header of a JPEG XL file; None if it has none.

    The plugin decodes a file as soon as it opens it, so its size must be known before. Where the
    stream stood it stands again.
    """
    before = stream.tell()
    try:
        stream.seek(0)
        bits = _Bits(_codestream(stream))
        if bits.take(16) != int.from_bytes(_CODESTREAM, "little"):
            return None
        small = bits.take(1)
        height = _side(bits, small)
        ratio = bits.take(3)
        # twelfths and the like round down, as the format says
        width = height * _RATIOS[ratio][0] // _RATIOS[ratio][1] if ratio else _side(bits, small)
    except (IndexError, ValueError):
        return None
    finally:
        stream.seek(before)
    return width, height


_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIDE_BITS = (9, 13, 18, 30)
#: boxes of a container before the picture, at most
_MOST_BOXES = 1_000
_HEADER_BYTES = 32


class _Bits:
    """Numbers from bytes, the lowest bit first."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content, "little"), 8 * len(content)

    def take(self, n: int) -> int:
        if n > self._left:
            raise IndexError("the header ends early")
        found = self._value & ((1 << n) - 1)
        self._value >>= n
        self._left -= n
        return found


def _side(bits: _Bits, small: int) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take(_SIDE_BITS[bits.take(2)]) + 1


def _codestream(stream: IO[bytes]) -> bytes:
    """Return the first bytes of the codestream, which may lie in a box of a container."""
    start = stream.read(len(_CONTAINER))
    if not start.startswith(_CONTAINER):
        return start + stream.read(_HEADER_BYTES)
    place = len(_CONTAINER)
    for _ in range(_MOST_BOXES):
        stream.seek(place)
        head = stream.read(16)
        if len(head) < 8:
            break
        size, kind, length = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, length = int.from_bytes(head[8:16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            # pieces are numbered in four bytes
            stream.seek(place + length + (4 if kind == b"jxlp" else 0))
            return stream.read(_HEADER_BYTES)
        if size < length:
            break
        place += size
    return b""
