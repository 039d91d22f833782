"""Keep freed memory for the next step instead of giving it back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# of malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: pieces of memory up to this size are used again; each step needs the same ones
_PIECE = 2**30
#: so much of it may lie unused
_UNUSED = 2**31 - 1
#: what glibc itself ends at when a program frees large pieces: it cannot be told to adapt again
_GROWN_PIECE, _GROWN_UNUSED = 2**25, 2**26


@contextmanager
def malloc_retain() -> Iterator[None]:
    """Let glibc keep what a step frees, for the length of the ``with`` block.

    Activations are tens of megabytes each, decoded images hundreds of kilobytes. Left alone, glibc
    returns every one to the system and asks for it again a moment later, page by page: a quarter of
    the time of a training step on a virtual machine, a twentieth of a pass over frozen layers.
    Other C libraries are left alone.
    """
    malloc = _glibc()
    if malloc is None:
        yield
        return
    _set(malloc, _PIECE, _UNUSED)
    try:
        yield
    finally:
        _set(malloc, _GROWN_PIECE, _GROWN_UNUSED)
        malloc.malloc_trim(0)


def malloc_trim() -> None:
    """Give back to the system what was freed.

    glibc keeps pieces of memory that lie between others, or are small: behind a network that was
    opened, exported and compared these are hundreds of megabytes, and the next step asks for
    pieces of other sizes. It takes milliseconds.
    """
    malloc = _glibc()
    if malloc is not None:
        malloc.malloc_trim(0)


def _set(malloc: ctypes.CDLL, piece: int, unused: int) -> None:
    malloc.mallopt(_MMAP_THRESHOLD, piece)
    malloc.mallopt(_TRIM_THRESHOLD, unused)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, n) for n in ("gnu_get_libc_version", "mallopt", "malloc_trim"))
    return library if known else None
