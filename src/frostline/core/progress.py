"""How long work tells somebody about itself, without knowing who listens."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Task(Protocol):
    """One bar: ``advance`` it as items get done."""

    def advance(self, n: int = 1) -> None: ...


class Progress(Protocol):
    """Whoever shows progress: the terminal, a page, or nobody."""

    def task(self, label: str, total: int) -> AbstractContextManager[Task]: ...

    def note(self, text: str, /) -> None: ...


class TypedProgress(Protocol):
    """Whoever shows progress and puts facts into words, or hands them on to who does."""

    def task(self, label: str, total: int) -> AbstractContextManager[Task]: ...

    def note(self, fact: object, /) -> None: ...


class _NullTask:
    def advance(self, n: int = 1) -> None:
        del n


class NullProgress:
    """Shows nothing."""

    def task(self, label: str, total: int) -> AbstractContextManager[Task]:
        del label, total
        return nullcontext(_NullTask())

    def note(self, fact: object, /) -> None:
        del fact
