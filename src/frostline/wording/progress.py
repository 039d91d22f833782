"""Progress whose notes are put into words."""

from __future__ import annotations

from contextlib import AbstractContextManager

from frostline.core.progress import NullProgress, Progress, Task, TypedProgress
from frostline.data.notes import Note
from frostline.wording.notes import note_sentence


class WordedProgress:
    """Hands everything on to somebody who takes text only."""

    def __init__(self, listener: Progress) -> None:
        self._listener = listener

    def task(self, label: str, total: int) -> AbstractContextManager[Task]:
        """Begin a bar."""
        return self._listener.task(label, total)

    def note(self, fact: object, /) -> None:
        """Say what was found out, or text as it is."""
        self._listener.note(note_sentence(fact) if isinstance(fact, Note) else str(fact))


def worded(listener: Progress | None) -> TypedProgress:
    """Return progress that takes facts; nobody listens to it where there is no listener."""
    return NullProgress() if listener is None else WordedProgress(listener)
