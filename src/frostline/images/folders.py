"""A folder per class, with or without train, val and test above it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath

from frostline.errors import InputError
from frostline.files import os_reason
from frostline.images.catalog import Part, Unreadable
from frostline.images.decode import EXTENSIONS
from frostline.images.listing import Found, Listing
from frostline.images.naming import natural_key, printable, some
from frostline.images.parts import part_of

LAYOUT = (
    "Expected one sub-folder per class (photos/cat, photos/dog), "
    "or train, val and test folders that each hold one sub-folder per class."
)
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini", "@eadir"}


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder on disk: real path, path below the source, and identity behind links."""

    path: str
    name: str
    identity: tuple[int, int]


def list_folder(root: Path, *, need_train: bool = True) -> Listing:
    """List the images below ``root`` by class folder and part; opens no image.

    Parameters
    ----------
    root : Path
        An existing folder.
    need_train : bool, default=True
        Whether parts without a training part are an error.

    Returns
    -------
    Listing
        In natural order of part, class and name.

    Raises
    ------
    InputError
        If the folder is empty or has another layout.
    """
    scan = _Scan(root)
    top, images = scan.entries(scan.root)
    if not top and not images and not scan.listing.unreadable:
        raise InputError(f"Folder {root} has no images{_instead(scan.others)}.", hint=LAYOUT)
    parts = _parts(scan, top, need_train)
    if parts is None:
        scan.classes_below(scan.root, None, already=(top, images))
    else:
        scan.listing.ignored["outside the parts"] += len(images)
        for folder, part in parts:
            scan.classes_below(folder, part)
    _drop_zero(scan.listing.ignored)
    if not scan.listing.found:
        _explain_nothing(scan, root, loose=scan.listing.ignored["outside class folders"])
    return scan.listing


class _Scan:
    """One walk through a source; collects what it meets in ``listing``."""

    def __init__(self, root: Path) -> None:
        self.listing = Listing()
        self.others: Counter[str] = Counter()
        found = root.stat()
        self.root = _Folder(str(root), "", (found.st_dev, found.st_ino))

    def entries(self, folder: _Folder) -> tuple[list[_Folder], list[tuple[str, str]]]:
        """Return sub-folders and images (path, name) in natural order; count everything else."""
        folders: list[_Folder] = []
        images: list[tuple[str, str]] = []
        try:
            with os.scandir(folder.path) as entries:
                ordered = sorted(entries, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            self._unreadable(folder.name or folder.path, f"folder: {os_reason(error)}")
            return folders, images
        for entry in ordered:
            name = printable(f"{folder.name}/{entry.name}" if folder.name else entry.name)
            if entry.name.startswith(".") or entry.name.lower() in _CLUTTER:
                self.listing.ignored["hidden"] += 1
                continue
            extension = PurePath(entry.name).suffix.lower()
            try:
                if entry.is_dir():
                    found = Path(entry.path).stat()
                    folders.append(_Folder(entry.path, name, (found.st_dev, found.st_ino)))
                    continue
                is_file = entry.is_file()
            except OSError:
                is_file = False
            if extension not in EXTENSIONS:
                self.listing.ignored["not an image"] += 1
                self.others[extension] += 1
            elif is_file:
                images.append((entry.path, name))
            else:
                broken = "broken link" if entry.is_symlink() else "not a regular file"
                self._unreadable(name, broken)
        return folders, images

    def classes_below(
        self,
        base: _Folder,
        part: Part | None,
        already: tuple[list[_Folder], list[tuple[str, str]]] | None = None,
    ) -> None:
        """Treat every sub-folder of ``base`` as a class."""
        folders, loose = already if already is not None else self.entries(base)
        self.listing.ignored["outside class folders"] += len(loose)
        for folder in folders:
            class_name = printable(Path(folder.path).name)
            images = self._all_images(folder, {self.root.identity, base.identity})
            if not images:
                self.listing.ignored["folder without images"] += 1
            for path, name in images:
                self.listing.found.append(Found(Path(path), name, class_name, part))

    def _all_images(self, top: _Folder, seen: set[tuple[int, int]]) -> list[tuple[str, str]]:
        """Every image below ``top``; a folder reached again through a link is not re-entered."""
        images: list[tuple[str, str]] = []
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if folder.identity in seen:
                self.listing.ignored["link to a folder already seen"] += 1
                continue
            seen.add(folder.identity)
            folders, here = self.entries(folder)
            images.extend(here)
            waiting.extend(reversed(folders))
        return images

    def _unreadable(self, name: str, reason: str) -> None:
        self.listing.unreadable.append(Unreadable(name, reason))


def _parts(scan: _Scan, top: list[_Folder], need_train: bool) -> list[tuple[_Folder, Part]] | None:
    """Return the part folders, or None if the sub-folders are classes.

    A class may itself be called "train", so names alone do not decide: parts hold class folders
    and no images of their own.
    """
    source = scan.root.path
    named = [(f, part) for f in top if (part := part_of(f.name)) is not None]
    rest = [f for f in top if part_of(f.name) is None]
    nested = [(f, part) for f, part in named if _holds_only_folders(f)]
    if not named or (rest and len(nested) < len(named)):
        return None
    if not nested:
        if any(part == "train" for _, part in named) and len(named) > 1:
            shown = some([f.name for f, _ in named])
            raise InputError(f"{source} has {shown}, but no class folders inside.", hint=LAYOUT)
        return None
    has_train = any(part == "train" for _, part in named)
    if rest and (len(named) == 1 or not has_train):
        # one class among others that happens to bear such a name, unless classes repeat inside
        repeated = {f.name for f in rest} & _names_inside(named[0][0])
        if not repeated:
            return None
        raise InputError(
            f"{source} has class folders beside {named[0][0].name!r}, which holds "
            f"{some(sorted(repeated))} too.",
            hint=f"Move them into 'train'. {LAYOUT}",
        )
    if not has_train and need_train:
        shown = some([repr(f.name) for f, _ in named])
        raise InputError(f"{source} has {shown} but no 'train' folder.", hint=LAYOUT)
    stray = [f.name for f in rest if _Scan(Path(f.path))._all_images(f, set())]
    if stray:
        raise InputError(
            f"{source} has parts ({some([f.name for f, _ in named])}), but there are also images "
            f"in {some([repr(name) for name in stray])}.",
            hint="Move these folders into a part, or out of the source.",
        )
    scan.listing.ignored["folder without images"] += len(rest)
    order: dict[Part, int] = {"train": 0, "val": 1, "test": 2}
    return sorted(named, key=lambda item: order[item[1]])


def _holds_only_folders(folder: _Folder) -> bool:
    folders, images = _Scan(Path(folder.path)).entries(folder)
    return bool(folders) and not images


def _names_inside(folder: _Folder) -> set[str]:
    folders, _ = _Scan(Path(folder.path)).entries(folder)
    return {Path(f.path).name for f in folders}


def _drop_zero(counts: Counter[str]) -> None:
    for key in [key for key, count in counts.items() if count == 0]:
        del counts[key]


def _instead(others: Counter[str]) -> str:
    """Say what was found in place of images, by file name ending."""
    if not others:
        return ""
    shown = ", ".join(f"{n} {ending or 'without ending'}" for ending, n in others.most_common(3))
    return f", only other files ({shown})"


def _explain_nothing(scan: _Scan, root: Path, *, loose: int) -> None:
    if loose:
        raise InputError(
            f"Folder {root} has {loose} images but no class folders around them.", hint=LAYOUT
        )
    if scan.listing.unreadable:
        first = scan.listing.unreadable[0]
        raise InputError(
            f"No image in {root} can be reached: {first.path}: {first.reason}.", hint=LAYOUT
        )
    raise InputError(f"Folder {root} has no images{_instead(scan.others)}.", hint=LAYOUT)
