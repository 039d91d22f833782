"""What a source lists before any file is opened: images with class, part and group by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from frostline.data.catalog import Part, Unreadable
from frostline.data.decoding.image_refs import ImageRef
from frostline.data.notes import Note
from frostline.data.sources.left_out import Tally


@dataclass(frozen=True, slots=True)
class Found:
    """One image of a source, with its class still by name."""

    origin: Path | ImageRef
    name: str
    class_name: str
    part: Part | None = None
    group: str | None = None
    weight: float = 1.0


@dataclass
class Listing:
    """All images of a source, what else was seen there, and which folders are its parts."""

    found: list[Found] = field(default_factory=list)
    left_out: Tally = field(default_factory=Tally)
    unreadable: list[Unreadable] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    folders: list[tuple[Part, str]] = field(default_factory=list)

    def tell_names_apart(self) -> None:
        """Number images that bear one name: two files may differ only by composed accents."""
        if len({found.name for found in self.found}) == len(self.found):
            return
        taken = {found.name for found in self.found}
        seen: set[str] = set()
        for i, found in enumerate(self.found):
            name, number = found.name, 2
            while name in seen or (name in taken and name != found.name):
                name, number = f"{found.name} ({number})", number + 1
            seen.add(name)
            self.found[i] = replace(found, name=name)
