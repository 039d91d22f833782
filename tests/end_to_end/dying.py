"""Let a run die at a chosen point: from then on nothing that it does reaches the disk.

A death is an exception that nothing catches. Unlike a real process that is killed, Python still
runs what stands behind ``finally``; so every later change of the file system dies as well, and the
disk stays as a kill would have left it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: event and path of a change of the file system that is about to happen
Point = Callable[[str, str], bool]

_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
_hooked = False
_point: Point | None = None
_dead = False


class Dead(BaseException):
    """The process is gone."""


@contextmanager
def dying(point: Point) -> Iterator[None]:
    """Die when ``point`` says so for the first time; at the end of the block if it never did."""
    global _hooked, _point, _dead
    if not _hooked:
        # a hook cannot be taken away again
        sys.addaudithook(_see)
        _hooked = True
    _point, _dead = point, False
    try:
        yield
    except Dead:
        return
    finally:
        _point, died, _dead = None, _dead, False
    assert died, "it should have died"


def renaming_to(name: str, *, times: int = 1) -> Point:
    """The point just before a file gets its final name, for the ``times``-th time."""
    seen = 0

    def here(event: str, path: str) -> bool:
        nonlocal seen
        seen += event == "os.rename" and path.endswith(name)
        return seen == times

    return here


def _see(event: str, arguments: tuple[Any, ...]) -> None:
    global _dead
    if _point is None or not _is_change(event, arguments):
        return
    # a rename is known by its target
    path = str(arguments[1] if event == "os.rename" else arguments[0])
    if _dead or _point(event, path):
        _dead = True
        raise Dead


def _is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        flags = arguments[2]
        writes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        return writes and not str(arguments[0]).startswith("/dev/")
    return event in _EVENTS
