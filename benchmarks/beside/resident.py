"""Memory of a process and all its children together, as the kernel counts it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

_EVERY_SECONDS = 0.05
_PROC = Path("/proc")


def resident(pid: int) -> int:
    """Bytes that a process and its children hold; what several hold counts once.

    A process that ended meanwhile counts as none.
    """
    family = [pid, *_below(pid)]
    if len(family) == 1:
        return _field(pid, "status", "VmRSS:")
    # shares of common pages: what was inherited by a fork would count twice
    return sum(_field(each, "smaps_rollup", "Pss:") for each in family)


def _below(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        return found
    return found + [far for near in found for far in _below(near)]


def _field(pid: int, file: str, name: str) -> int:
    try:
        lines = (_PROC / str(pid) / file).read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(name)), 0)


class Peak:
    """Highest memory of a process and its children in a block, looked at 20 times a second.

    Attributes
    ----------
    bytes : int
        Highest so far.
    """

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, resident(self._pid))
            if self._over.wait(_EVERY_SECONDS):
                return

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()


def own_peak(usage_maxrss: int) -> int:
    """Bytes of what ``os.wait4`` says about the largest single process, which samples may miss."""
    return usage_maxrss * 1024 if os.uname().sysname == "Linux" else usage_maxrss
