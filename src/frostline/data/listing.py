"""What a source lists before any file is opened: images with class, part and group by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from frostline.core.task import Task
from frostline.data.catalog import Part, Unreadable
from frostline.data.decoding.image_refs import ImageRef
from frostline.data.notes import Note
from frostline.data.sources.left_out import Tally
from frostline.data.sources.target_choice import LabelSet


@dataclass(frozen=True, slots=True)
class Found:
    """One image of a source, with its class still by name.

    ``truth``: several labels by name, or one value for each of ``Listing.outputs``; None where
    there is one class.
    """

    origin: Path | ImageRef
    name: str
    class_name: str
    part: Part | None = None
    group: str | None = None
    weight: float = 1.0
    truth: LabelSet | tuple[float, ...] | None = None


@dataclass
class Listing:
    """All images of a source, what else was seen there, and which folders are its parts.

    ``task``: what is predicted of them. ``outputs``: names of what is, in their order, where the
    source says them.
    """

    found: list[Found] = field(default_factory=list)
    left_out: Tally = field(default_factory=Tally)
    unreadable: list[Unreadable] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    folders: list[tuple[Part, str]] = field(default_factory=list)
    task: Task = "single"
    outputs: tuple[str, ...] = ()

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
