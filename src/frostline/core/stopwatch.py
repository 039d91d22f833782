"""Where the time of a run went, by phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Wall-clock seconds by phase. Only reported: no decision reads it.

    ``started``: ``time.perf_counter()`` when the process began, so that imports count; now when
    None.
    """

    def __init__(self, started: float | None = None) -> None:
        self._began = time.perf_counter()
        self._before = 0.0 if started is None else max(0.0, self._began - started)
        self.seconds: dict[str, float] = {}
        if started is not None:
            self.seconds["starting"] = self._before

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the ``with`` block to phase ``name``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            self.seconds[name] = self.seconds.get(name, 0.0) + spent

    def report(self) -> dict[str, float]:
        """Return seconds by phase and in ``total``."""
        total = self._before + time.perf_counter() - self._began
        return {name: round(s, 2) for name, s in (*self.seconds.items(), ("total", total))}
