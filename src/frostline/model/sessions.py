"""One session of ONNX Runtime for each process: its threads do not survive a fork."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

#: Held while a session is opened. Without it a fork in that moment would leave the child with
#: locks of the runtime that nobody ever lets go of.
_OPENING = threading.RLock()


class Sessions:
    """A session that is opened late, once in each process that uses it.

    ``opening``: opens one. ``opened``: what this process has already.
    """

    def __init__(self, opening: Callable[[], Any], opened: Any = None) -> None:
        self._opening = opening
        self._by_process: dict[int, Any] = {} if opened is None else {os.getpid(): opened}
        _ALL.add(self)

    def of_this_process(self) -> Any:
        """Return the session, opened now where there is none yet.

        Raises
        ------
        FrostlineError
            What ``opening`` raises.
        """
        here = os.getpid()
        found = self._by_process.get(here)
        if found is None:
            with _OPENING:
                found = self._by_process.get(here)
                if found is None:
                    found = self._by_process[here] = self._opening()
        return found

    def abandon(self) -> None:
        """Let go of what other processes opened, without closing it."""
        for session in self._by_process.values():
            # closing it would wait for threads that are not in this process, for ever: one
            # reference too many keeps it to the end
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
        self._by_process.clear()


_ALL: weakref.WeakSet[Sessions] = weakref.WeakSet()


def _after_a_fork() -> None:
    for sessions in list(_ALL):
        sessions.abandon()
    _OPENING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_OPENING.acquire, after_in_parent=_OPENING.release, after_in_child=_after_a_fork
    )
