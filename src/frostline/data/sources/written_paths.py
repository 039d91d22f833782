"""Files that a table names in another spelling: found where exactly one fits, else explained."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from frostline.core.errors import InputError
from frostline.core.files import is_file
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.naming import printable
from frostline.data.notes import Mend, MendedPaths, Note

#: missing files that are looked at for an explanation
_EXPLAINED = 20
#: folders beside a table that may hold its images
_SEARCHED = 100
#: folders in one another in which names are compared
_DEEPEST = 100
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

#: a file or folder, and how its name differs from the one that was written
_Match = tuple[Path, frozenset[Mend]]


class PathFinder:
    """Finds files by the paths of a table, and remembers how.

    What exists as it is written costs one look. Anything else is compared with what lies in its
    folder: backslashes as separators, a missing ending, case, and how accents are composed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._folders: dict[Path, _Match | None] = {}
        self._several: dict[Path, list[Path]] = {}
        self._inside: dict[Path, _Inside] = {}
        self._counts: Counter[Mend] = Counter()
        self._examples: dict[Mend, tuple[str, str]] = {}

    def written(self, text: str) -> Path:
        """Return where a path points to as it is written."""
        return Path(os.path.normpath(self.folder / text))

    def find(self, text: str, *, at: str) -> Path | None:
        """Return the file that a path names, or None.

        Raises InputError if several files fit a path that is not one of them.

        ``at``: its place in the table, for messages.
        """
        path = self.written(text)
        if is_file(path):
            return path
        match = self._mended(text, at)
        if match is None:
            return None
        found, how = match
        for mend in how:
            self._counts[mend] += 1
            self._examples.setdefault(mend, (text, self._shown(found)))
        return found

    def notes(self) -> list[Note]:
        """Return how paths were read that name no file as they are written."""
        return [
            MendedPaths(how, n, *self._examples[how]) for how, n in sorted(self._counts.items())
        ]

    def explain(self, missing: Sequence[str]) -> str:
        """Return a hint for paths that name no file."""
        for text in missing[:_EXPLAINED]:
            hint = self._explained(text)
            if hint:
                return hint
        return f"Relative paths start from {self.folder}."

    def _mended(self, text: str, at: str) -> _Match | None:
        for form, how in self._forms(text):
            path = self.written(form)
            if is_file(path):
                return path, how
            found = self._in_folder(path, at)
            if found is not None:
                return found[0], found[1] | how
        return None

    def _forms(self, text: str) -> list[tuple[str, frozenset[Mend]]]:
        forms: list[tuple[str, frozenset[Mend]]] = [(text, frozenset())]
        if "\\" in text:
            forms.append((text.replace("\\", "/"), frozenset({"backslash"})))
        if text.startswith("~"):
            forms.append((_at_home(text), frozenset()))
        return forms

    def _in_folder(self, path: Path, at: str) -> _Match | None:
        """Find the one file of a folder whose name differs in ways that mean nothing."""
        parent = self._folder(path.parent)
        if parent is None:
            return None
        folder, how = parent
        inside = self._listed(folder)
        names = inside.alike(path.name, folders=False)
        ending: frozenset[Mend] = frozenset()
        if not names:
            names, ending = inside.images_of(path.name), frozenset({"ending"})
        if len(names) > 1:
            shown = [self._shown(folder / name) for name in names]
            raise InputError(
                f"{at}: the path may mean {' or '.join(sorted(shown))}.",
                hint="Write the name as the file has it, with its ending.",
            )
        if not names:
            return None
        stem = PurePath(names[0]).stem if ending else names[0]
        return folder / names[0], how | ending | _difference(path.name, stem)

    def _folder(self, path: Path) -> _Match | None:
        """Find the folder that is meant, parent by parent."""
        if len(path.parts) > _DEEPEST:
            return None
        unknown = []
        while path not in self._folders and not _is_folder(path) and path.parent != path:
            unknown.append(path)
            path = path.parent
        found = self._folders.setdefault(path, (path, frozenset()))
        for path in reversed(unknown):
            if found is not None:
                folder, how = found
                names = self._listed(folder).alike(path.name, folders=True)
                if len(names) > 1:
                    self._several[path] = [folder / name for name in names]
                how |= _difference(path.name, names[0]) if len(names) == 1 else frozenset()
                found = (folder / names[0], how) if len(names) == 1 else None
            self._folders[path] = found
        return found

    def _listed(self, folder: Path) -> _Inside:
        if folder not in self._inside:
            self._inside[folder] = _Inside(folder)
        return self._inside[folder]

    def _shown(self, path: Path) -> str:
        inside = path.is_relative_to(self.folder)
        return printable(str(path.relative_to(self.folder) if inside else path))

    def _explained(self, text: str) -> str:
        if _ADDRESS.match(text):
            return "These are addresses: download the images, and write where they are."
        bare = text.strip("'\"")
        if bare != text and is_file(self.written(bare)):
            return f"{printable(bare)} does exist: write it without quotation marks."
        path = self.written(text.replace("\\", "/"))
        for folder in path.parents:
            if folder in self._several:
                shown = [self._shown(found) for found in self._several[folder]]
                return f"{self._shown(folder)} may mean {' or '.join(shown)}: write which."
        if _is_folder(path):
            return f"{printable(text)} is a folder; a table names every image."
        parent = self._folder(path.parent)
        if parent is not None:
            near = self._listed(parent[0]).other_endings(path.name)
            if near:
                return f"{self._shown(parent[0] / near[0])} does exist: its ending is another one."
            near = self._listed(parent[0]).other_zeros(path.name)
            if near:
                return (
                    f"{self._shown(parent[0] / near[0])} does exist. Zeros get lost where names "
                    "are read as numbers: in pandas use read_csv(..., dtype=str)."
                )
        parts = PurePath(text.replace("\\", "/")).parts
        for start in range(1, min(len(parts), _DEEPEST)):
            below = str(PurePath(*parts[start:]))
            if is_file(self.written(below)):
                return (
                    f"{printable(below)} does exist in {self.folder}: write paths from there on, "
                    f"without '{printable(text[: -len(below)])}'."
                )
        for name in self._listed(self.folder).folders[:_SEARCHED]:
            below = f"{name}/{text}"
            if is_file(self.written(below)) or self._listed(self.folder / name).images_of(text):
                return f"{printable(below)} does exist: write the folder as well."
        return ""


class _Inside:
    """Names inside a folder, by what is left of them when case and accents do not count."""

    def __init__(self, folder: Path) -> None:
        self.folders: list[str] = []
        self._files: defaultdict[str, list[str]] = defaultdict(list)
        self._below: defaultdict[str, list[str]] = defaultdict(list)
        self._stems: defaultdict[str, list[str]] = defaultdict(list)
        self._numbers: defaultdict[str, list[str]] = defaultdict(list)
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            return
        for entry in listed:
            if _leads_to(entry, os.DirEntry.is_dir):
                self.folders.append(entry.name)
                self._below[_key(entry.name)].append(entry.name)
            if not _leads_to(entry, os.DirEntry.is_file):
                continue
            self._files[_key(entry.name)].append(entry.name)
            stem, ending = _split(entry.name)
            if ending.lower() in EXTENSIONS:
                self._stems[_key(stem)].append(entry.name)
                self._numbers[_key(stem).lstrip("0")].append(entry.name)

    def alike(self, name: str, *, folders: bool) -> list[str]:
        """Return names that differ by case or accents, or better those that differ by accents."""
        found = (self._below if folders else self._files).get(_key(name), [])
        return [n for n in found if _composed(n) == _composed(name)] or found

    def images_of(self, stem: str) -> list[str]:
        """Return images whose name without its ending is this one."""
        found = self._stems.get(_key(stem), [])
        same = [n for n in found if _composed(PurePath(n).stem) == _composed(stem)]
        return same or found

    def other_endings(self, name: str) -> list[str]:
        """Return images of the same name but for the ending."""
        return self._stems.get(_key(_split(name)[0]), [])

    def other_zeros(self, name: str) -> list[str]:
        """Return images whose number has other zeros in front."""
        stem, ending = _split(name)
        stem = stem if ending.lower() in EXTENSIONS else name
        return self._numbers.get(_key(stem).lstrip("0"), []) if stem.isdigit() else []


def _difference(written: str, found: str) -> frozenset[Mend]:
    if written == found:
        return frozenset()
    return frozenset({"accents"} if _composed(written) == _composed(found) else {"case"})


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _key(name: str) -> str:
    return _composed(_composed(name).casefold())


def _at_home(text: str) -> str:
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        # a home that nobody has
        return text


def _split(name: str) -> tuple[str, str]:
    path = PurePath(name)
    return path.stem, path.suffix


def _leads_to(entry: os.DirEntry[str], kind: Callable[[os.DirEntry[str]], bool]) -> bool:
    try:
        return kind(entry)
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
