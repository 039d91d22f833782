"""What a source holds beside the images that are read: counts by kind, each with an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from frostline.core.audit_record import LeftOutKind

#: files of one ending that are remembered, so that somebody can look at what they are
_KEPT = 200


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Entries that were left out for one reason.

    ``example``: the first of them, by its name in the source. ``ending``: of files that are not
    read as images, their file name ending in lower case; "" for those without one, and for anything
    else. ``files``: the first few hundred such files: name in the source, and path on disk.
    ``really``: what the first of them is by its bytes, and what to do, where somebody may miss it.
    """

    kind: LeftOutKind
    count: int
    example: str
    ending: str = ""
    files: tuple[tuple[str, str], ...] = ()
    really: str = ""


@dataclass
class Tally:
    """Counts what is left out, by kind and ending, and remembers the first of each."""

    _found: dict[tuple[LeftOutKind, str], LeftOut] = field(default_factory=dict)

    def add(
        self, kind: LeftOutKind, example: str, *, ending: str = "", count: int = 1, path: str = ""
    ) -> None:
        """Count ``count`` more entries of one kind."""
        if count:
            self.take(LeftOut(kind, count, example, ending, ((example, path),) if path else ()))

    def merge(self, other: Tally) -> None:
        """Count what another tally counted."""
        for one in other:
            self.take(one)

    def take(self, more: LeftOut) -> None:
        """Count what somebody else counted of one kind and ending."""
        known = self._found.get((more.kind, more.ending))
        if known is None:
            self._found[more.kind, more.ending] = more
            return
        files = known.files if len(known.files) >= _KEPT else (*known.files, *more.files)[:_KEPT]
        self._found[more.kind, more.ending] = LeftOut(
            known.kind, known.count + more.count, known.example, known.ending, files
        )

    def __iter__(self) -> Iterator[LeftOut]:
        return iter(self._found.values())

    def __bool__(self) -> bool:
        return bool(self._found)

    def of(self, kind: LeftOutKind) -> list[LeftOut]:
        """Return what is of one kind, the most frequent ending first."""
        return sorted((one for one in self if one.kind == kind), key=lambda one: -one.count)
