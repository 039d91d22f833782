"""What the study changes inside of a forked command: clocks, limits, points of death."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MUTATING = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")


def tell_phases(label: mmap.mmap) -> None:
    """Write the phase that a run is in where the parent can read it, whenever it changes."""
    from frostline.core.stopwatch import Stopwatch

    plain = Stopwatch.phase

    def tell(text: str) -> None:
        label[:] = text.encode()[: len(label)].ljust(len(label), b"\0")

    @contextmanager
    def phase(self: Stopwatch, name: str) -> Iterator[None]:
        tell(name)
        with plain(self, name):
            yield
        tell(f"after {name}")

    tell("starting")
    Stopwatch.phase = phase  # type: ignore[method-assign]


def dies_at(number: int) -> None:
    """Kill the process when it is about to change the file system for the ``number``-th time."""
    seen = 0

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if _changes_something(event, arguments):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(see)


def counts_changes(path: str) -> None:
    """Append a line to a file for every change of the file system."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if _changes_something(event, arguments):
            os.write(handle, f"{event} {arguments[0]}\n".encode())

    sys.addaudithook(see)


def _changes_something(event: str, arguments: tuple[Any, ...]) -> bool:
    if event in _MUTATING:
        return True
    if event != "open" or not isinstance(arguments[0], str):
        return False
    writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    return bool(writes) and not arguments[0].startswith("/dev/")


def clock_jumps(seconds: float) -> None:
    """Let every look at the calendar clock see it jump back or forth, further every time."""
    plain, looks = time.time, 0

    def jumping() -> float:
        nonlocal looks
        looks += 1
        return plain() + seconds * (looks % 3)

    time.time = jumping


def address_space(more: int) -> None:
    """Let the process have only so many bytes more than it has now."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (has + more, has + more))


def file_size(most: int) -> None:
    """Let no file grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def runs_before(words: list[str]) -> None:
    """Run another fit in this process first."""
    from typer.testing import CliRunner

    from frostline.cli.main import app

    done = CliRunner().invoke(app, words)
    if done.exit_code:
        raise RuntimeError(done.output)
