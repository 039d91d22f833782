"""What a source lists before any file is opened: images with class, part and group by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from frostline.images.catalog import Part, Unreadable
from frostline.images.held import Held
from frostline.images.left_out import Tally
from frostline.images.notes import Note


@dataclass(frozen=True, slots=True)
class Found:
    """One image of a source, with its class still by name."""

    origin: Path | Held
    name: str
    class_name: str
    part: Part | None = None
    group: str | None = None


@dataclass
class Listing:
    """All images of a source, what else was seen there, and which folders are its parts."""

    found: list[Found] = field(default_factory=list)
    left_out: Tally = field(default_factory=Tally)
    unreadable: list[Unreadable] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    folders: list[tuple[Part, str]] = field(default_factory=list)
