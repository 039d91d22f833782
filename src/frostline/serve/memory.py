"""How many bytes of uploads all requests together hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from frostline.serve.problem_details import busy


class Memory:
    """A number of bytes that requests share. For one event loop: not for several threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give a share that is handed back as a whole when the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give(share.held)


class Share:
    """What one request holds."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.held = 0

    def take(self, n_bytes: int) -> None:
        """Count bytes that are kept from now on.

        Raises RequestError with status 503 if all requests together would hold too much.
        """
        memory = self._memory
        if memory.held + n_bytes > memory.limit:
            raise busy(f"uploads of {memory.held:,} bytes are being worked on", retry_after=1)
        memory.held += n_bytes
        self.held += n_bytes

    def give(self, n_bytes: int) -> None:
        """Hand bytes back that are no longer kept; never more than were taken."""
        n_bytes = min(n_bytes, self.held)
        self._memory.held -= n_bytes
        self.held -= n_bytes
