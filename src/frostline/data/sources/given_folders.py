"""Folders that are parts: those that settings name, and how each says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frostline.core.errors import SettingsError, did_you_mean
from frostline.data.catalog import Part
from frostline.data.naming import printable, shorten
from frostline.data.sources.part_folders import Spelling
from frostline.data.sources.scanning import Folder, Scan


@dataclass(frozen=True, slots=True)
class Named:
    """A folder that is a part, and how its name says so."""

    folder: Folder
    spelling: Spelling

    @property
    def part(self) -> Part:
        return self.spelling.part


def given_folders(scan: Scan, source: Path, given: Mapping[Part, str]) -> list[Named]:
    """Find the folders that settings name; each may be one part."""
    found: list[Named] = []
    owner: dict[tuple[int, int], Part] = {}
    for part, name in given.items():
        folder = _given_folder(scan, source, part, name)
        other = owner.setdefault(folder.identity, part)
        if other != part:
            raise SettingsError(f"{other}={given[other]!r} and {part}={name!r} are one folder.")
        found.append(Named(folder, Spelling(part, name, ())))
    return found


def _given_folder(scan: Scan, source: Path, part: Part, name: str) -> Folder:
    pieces = [piece for piece in name.split("/") if piece not in ("", ".")]
    folder = scan.root
    for piece in pieces:
        inner = scan.entries(folder).folders
        following = next((one for one in inner if one.label == printable(piece)), None)
        if following is None:
            names = [one.label for one in inner]
            where = folder.name or str(source)
            raise SettingsError(
                f"{part}={name!r}: there is no folder {piece!r} in {where}.",
                hint=did_you_mean(piece, names)
                or (f"There are {shorten(names)}." if names else "It holds no folders."),
            )
        folder = following
    return folder
