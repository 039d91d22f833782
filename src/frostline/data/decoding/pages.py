"""What the directories of a TIFF file tell: its pages, and whether it is a raw file of a camera."""

from __future__ import annotations

import struct
from typing import IO

#: pages that are counted at most
MOST_PAGES = 1_000
_MOST_ENTRIES = 4_096
_WIDTH, _HEIGHT, _SUBFILE = 256, 257, 254
_SUB_DIRECTORIES, _DNG_VERSION = 330, 50706
_TAGS = (_WIDTH, _HEIGHT, _SUBFILE, _SUB_DIRECTORIES, _DNG_VERSION)
#: bytes of a value by its type: bytes, shorts, longs; others hold no side
_TYPES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
#: a smaller copy of another page, and a mask
_REDUCED, _MASK = 1, 4


def pages_of_one_size(stream: IO[bytes]) -> int:
    """Count the pages that are as large as the first; 1 for any file that is damaged or no TIFF.

    Smaller copies and masks do not count. Where the stream stood it stands again.
    """
    before = stream.tell()
    try:
        return _count(stream)
    except (struct.error, OSError, ValueError, OverflowError):
        return 1
    finally:
        stream.seek(before)


def is_raw(stream: IO[bytes]) -> bool:
    """Whether a TIFF file is a camera's raw one, whose first page is a preview.

    That is so where it says which version of DNG it is, or where the first page is a smaller copy
    and the picture itself lies in a directory below it. Where the stream stood it stands again.
    """
    before = stream.tell()
    try:
        start = _start(stream)
        if start is None:
            return False
        order, big, place, after = start
        if after == b"CR":
            return True
        tags, _ = _directory(stream, place, order, big=big)
    except (struct.error, OSError, ValueError, OverflowError):
        return False
    finally:
        stream.seek(before)
    smaller = bool(tags.get(_SUBFILE, 0) & _REDUCED)
    return _DNG_VERSION in tags or (smaller and _SUB_DIRECTORIES in tags)


def _start(stream: IO[bytes]) -> tuple[str, bool, int, bytes] | None:
    """Return byte order, whether it is a BigTIFF, where the first directory is, what follows."""
    stream.seek(0)
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return None
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    place = struct.unpack_from(f"{order}Q" if big else f"{order}I", head, 8 if big else 4)[0]
    return order, big, place, head[8:10]


def _count(stream: IO[bytes]) -> int:
    start = _start(stream)
    if start is None:
        return 1
    order, big, place, _ = start
    first: tuple[int, int] | None = None
    count, seen = 0, set[int]()
    while place and place not in seen and len(seen) < MOST_PAGES:
        seen.add(place)
        tags, place = _directory(stream, place, order, big=big)
        if tags.get(_SUBFILE, 0) & (_REDUCED | _MASK):
            continue
        size = (tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0))
        first = first or size
        count += size == first
    return max(1, count)


def _directory(
    stream: IO[bytes], place: int, order: str, *, big: bool
) -> tuple[dict[int, int], int]:
    """Return what a directory says of the tags that count here, and where the next one is."""
    stream.seek(place)
    n = struct.unpack(f"{order}Q" if big else f"{order}H", stream.read(8 if big else 2))[0]
    size = 20 if big else 12
    if n > _MOST_ENTRIES:
        return {}, 0
    entries = stream.read(n * size)
    following = struct.unpack(f"{order}Q" if big else f"{order}I", stream.read(8 if big else 4))[0]
    tags = {}
    for i in range(n):
        tag, kind = struct.unpack_from(f"{order}HH", entries, i * size)
        width = _TYPES.get(kind)
        if tag in _TAGS and width is not None:
            value = entries[i * size + (12 if big else 8) :][:width]
            tags[tag] = int.from_bytes(value, "little" if order == "<" else "big")
    return tags, following
