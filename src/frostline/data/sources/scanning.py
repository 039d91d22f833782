"""Walk a folder: sub-folders, images, and everything that is neither; what it means is no concern.

Every command walks by these rules, so that clutter which a fit leaves out is not classified later.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from frostline.core.errors import InputError
from frostline.core.files import os_reason
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.decoding.file_kinds import PICTURE_ENDINGS
from frostline.data.naming import natural_key, printable
from frostline.data.sources.left_out import Tally

#: what systems, archives and network storage leave behind, in lower case; so does every name that
#: begins with a dot
_CLUTTER = frozenset(
    (
        *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__"),
        *("@eadir", "@recycle", "#recycle", "#snapshot", "@recently-snapshot"),
        *("$recycle.bin", "recycler", "system volume information", "found.000"),
        *("lost+found", "lost.dir", "network trash folder", "temporary items"),
    )
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on disk: real path, path below the source, and identity behind links."""

    path: str
    name: str
    identity: tuple[int, int]

    @property
    def label(self) -> str:
        """Its own name, without those of the folders around it."""
        return printable(Path(self.path).name)


@dataclass(frozen=True, slots=True)
class File:
    """What is called an image; ``broken`` says why there is no such file."""

    path: str
    name: str
    broken: str = ""

    @property
    def stem(self) -> str:
        """Its own name without the ending."""
        own = self.name.rpartition("/")[2]
        return own.rpartition(".")[0] or own


@dataclass
class Entries:
    """What lies directly in one folder, in natural order; ``error`` if it cannot be read."""

    folders: list[Folder] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    others: Tally = field(default_factory=Tally)
    error: str = ""

    @property
    def n_images(self) -> int:
        """How many images lie here."""
        return sum(not file.broken for file in self.files)


class Scan:
    """One walk through a folder; every folder is read once, whoever asks.

    ``taken``: identities of folders that are passed over wherever they are met.
    """

    def __init__(self, root: Path) -> None:
        self.root = folder_at(root, "")
        self.taken: set[tuple[int, int]] = set()
        self._read: dict[str, Entries] = {}

    def entries(self, folder: Folder) -> Entries:
        """Return what lies directly in a folder."""
        found = self._read.get(folder.path)
        if found is None:
            found = self._read[folder.path] = _entries(folder)
        if not self.taken or not any(f.identity in self.taken for f in found.folders):
            return found
        kept = [f for f in found.folders if f.identity not in self.taken]
        return Entries(kept, found.files, found.others, found.error)

    def below(
        self, top: Folder, seen: set[tuple[int, int]], *, links: Tally | None = None
    ) -> Iterator[tuple[Folder, Entries]]:
        """Yield every folder from ``top`` down, once each: those in ``seen`` are not entered.

        ``seen``: identities; grows by what is entered. ``links``: where folders that were reached
        again, by a link, are counted.
        """
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            # somebody may have taken it since its parent was read
            if folder is not top and folder.identity in self.taken:
                continue
            if folder.identity in seen:
                if links is not None:
                    links.add("link to a folder already seen", folder.name)
                continue
            seen.add(folder.identity)
            entries = self.entries(folder)
            yield folder, entries
            waiting.extend(reversed(entries.folders))

    def has_images(self, folder: Folder) -> bool:
        """Whether anything at or below a folder is called an image, or cannot be looked at."""
        return any(entries.files or entries.error for _, entries in self.below(folder, set()))

    def count(self, folder: Folder) -> int:
        """Return how many images lie at or below a folder."""
        return sum(entries.n_images for _, entries in self.below(folder, set()))

    def folders_with_images(self, folder: Folder) -> list[Folder]:
        """Return those sub-folders of a folder at or below which there are images."""
        return [inner for inner in self.entries(folder).folders if self.has_images(inner)]


def files_below(root: Path, *, every_picture: bool = False) -> tuple[list[File], Tally]:
    """Return everything that is called an image at or below a folder, and what was left out.

    With ``every_picture`` files of kinds that are not read, such as HEIC, are called images too:
    for callers who have a word for every single one. Raises InputError if a folder cannot be read.
    """
    files: list[File] = []
    left_out = Tally()
    scan = Scan(root)
    for folder, entries in scan.below(scan.root, set(), links=left_out):
        if entries.error:
            raise InputError(f"Folder {folder.path} cannot be read: {entries.error}.")
        files += entries.files
        if every_picture:
            files += _other_pictures(folder)
        for one in entries.others:
            if not (every_picture and one.ending in PICTURE_ENDINGS):
                left_out.take(one)
    return files, left_out


def _other_pictures(folder: Folder) -> list[File]:
    """Return files of a folder whose endings are those of pictures that are not read."""
    with os.scandir(folder.path) as entries:
        found = [
            entry
            for entry in entries
            if PurePath(entry.name).suffix.lower() in PICTURE_ENDINGS - EXTENSIONS
            and not _is_clutter(entry.name)
            and entry.is_file()
        ]
    ordered = sorted(found, key=lambda entry: natural_key(entry.name))
    return [
        File(entry.path, printable(f"{folder.name}/{entry.name}" if folder.name else entry.name))
        for entry in ordered
    ]


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _CLUTTER


def folder_at(path: Path, name: str) -> Folder:
    """Return the folder at a path, under the name that it has in the source."""
    found = path.stat()
    return Folder(str(path), name, (found.st_dev, found.st_ino))


def _entries(folder: Folder) -> Entries:
    found = Entries()
    try:
        with os.scandir(folder.path) as entries:
            ordered = sorted(entries, key=lambda entry: natural_key(entry.name))
    except OSError as error:
        found.error = os_reason(error)
        return found
    for entry in ordered:
        name = printable(f"{folder.name}/{entry.name}" if folder.name else entry.name)
        if _is_clutter(entry.name):
            found.others.add("hidden", name)
            continue
        try:
            if entry.is_dir():
                found.folders.append(folder_at(Path(entry.path), name))
                continue
            is_file = entry.is_file()
        except OSError:
            is_file = False
        extension = PurePath(entry.name).suffix.lower()
        if extension not in EXTENSIONS:
            # the number in scan.jpg.1 says nothing about what it is
            ending = "" if extension[1:].isdigit() or extension == "." else printable(extension)
            found.others.add("not an image", name, ending=ending, path=entry.path)
        elif is_file:
            found.files.append(File(entry.path, name))
        else:
            broken = "broken link" if entry.is_symlink() else "not a regular file"
            found.files.append(File(entry.path, name, broken))
    return found
