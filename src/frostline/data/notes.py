"""What was understood of a source beyond its plain reading: facts, and the sentences that say them.

Facts travel as types, so that nothing reads a sentence; :func:`sentence` alone words them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from frostline.data.naming import some, visible
from frostline.data.sources.folder_notes import (
    FlatFolder,
    FolderNote,
    InnerFolder,
    LikeMasks,
    Masks,
    OddEndings,
    OnlyFolders,
    PartsInside,
    SameFolders,
    TablesBeside,
    folder_sentence,
)

#: groups of names and single names that a sentence shows
_GROUPS, _NAMES = 3, 5

#: why a path names no file as it is written, and yet one can be found
Mend = Literal["backslash", "ending", "case", "accents"]


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """Classes whose names are hard to tell apart: groups of (name, number of images)."""

    groups: tuple[tuple[tuple[str, int], ...], ...]


@dataclass(frozen=True, slots=True)
class Combinations:
    """Classes whose names seem to list other classes, and how many images they have."""

    names: tuple[str, ...]
    images: int


@dataclass(frozen=True, slots=True)
class Respelled:
    """Classes whose labels are written in several ways: groups of (label, number of images)."""

    groups: tuple[tuple[tuple[str, int], ...], ...]


@dataclass(frozen=True, slots=True)
class MendedPaths:
    """Paths that name no file as they are written, and an example of how they were read."""

    how: Mend
    images: int
    written: str
    read: str


@dataclass(frozen=True, slots=True)
class TakenColumns:
    """Columns that were read in another role than their name says: (role, column)."""

    roles: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MarkedColumns:
    """Columns of 0 and 1 that were read as one label, since one is marked in every row."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OneHotLabels:
    """Labels that are vectors with a single 1, whose place was read as the class."""

    classes: int


@dataclass(frozen=True, slots=True)
class ListsOfOne:
    """Labels that were written as lists of one label each, and an example."""

    images: int
    written: str
    read: str


@dataclass(frozen=True, slots=True)
class NoHeader:
    """A table without a header: what its columns were taken for, in their order."""

    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SkippedLines:
    """Lines of a table that are no rows: comments, or its header once more."""

    what: Literal["comment", "header"]
    lines: int


@dataclass(frozen=True, slots=True)
class LacksClasses:
    """Classes without an image in a part that was given, or among images to judge a model on."""

    part: str | None
    names: tuple[str, ...]
    classes: int


#: everything that can be said of a source
Note = (
    Lookalikes
    | Combinations
    | Respelled
    | MendedPaths
    | TakenColumns
    | MarkedColumns
    | OneHotLabels
    | ListsOfOne
    | NoHeader
    | SkippedLines
    | LacksClasses
    | FolderNote
)


def sentence(note: Note) -> str:
    """Return what a note says, for people."""
    match note:
        case (
            InnerFolder()
            | FlatFolder()
            | OnlyFolders()
            | SameFolders()
            | PartsInside()
            | Masks()
            | LikeMasks()
            | OddEndings()
            | TablesBeside()
        ):
            return folder_sentence(note)
        case Lookalikes(groups):
            return (
                "Names of classes differ only by case, spaces, signs that cannot be seen or the "
                f"way a number is written: {_groups(groups)}. Each is a class of its own; rename "
                "those that are meant to be one."
            )
        case Combinations(names, images):
            shown = some([repr(name) for name in names], limit=_NAMES)
            return (
                f"{_count(images, 'image has a label', 'images have labels')} that "
                f"{'seems' if images == 1 else 'seem'} to list several classes: {shown}. Every "
                "combination is a class of its own; several labels for one image cannot be "
                "learned yet."
            )
        case Respelled(groups):
            return (
                "Labels that differ only by spaces at their ends or by how accents are composed "
                f"are read as one class: {_groups(groups, show=ascii)}."
            )
        case MendedPaths(how, images, written, read):
            one, many, reading = _MENDED[how]
            return f"{_count(images, one, many)}; {reading}: '{visible(written)}' is {read}."
        case TakenColumns(roles):
            said = [f"column {column!r} is read as {role}" for role, column in roles]
            return f"Other names of columns are understood: {' and '.join(said)}."
        case MarkedColumns(columns):
            return (
                f"{len(columns)} columns of 0 and 1 mark one class in every row and are read as "
                f"one label: {some([repr(name) for name in columns], limit=_NAMES)}."
            )
        case OneHotLabels(classes):
            return (
                f"Labels are vectors of {classes} numbers with a single 1; its place is read as "
                "the class."
            )
        case ListsOfOne(images, written, read):
            lists = _count(images, "label is a list", "labels are lists")
            return f"{lists} of one label: {written!r} is read as {read!r}."
        case NoHeader(roles):
            return (
                f"The table has no header: its {len(roles)} columns are read as "
                f"{' and '.join(roles)}, the first line included."
            )
        case SkippedLines(what, lines):
            kind = "a comment" if what == "comment" else "the header once more"
            return f"{_count(lines, 'line is', 'lines are')} no row but {kind}, and left out."
        case LacksClasses(part, names, classes):
            where = "source" if part is None else f"part {part!r}"
            known = "the model's " if part is None else ""
            of = f"{classes - len(names):,} of {known}{_count(classes, 'class', 'classes')}"
            named = some([repr(name) for name in names], limit=_NAMES)
            return (
                f"The {where} has images of {of}: none of {named}, so that nothing can be said of "
                f"{'it' if len(names) == 1 else 'them'} there."
            )


_MENDED: dict[Mend, tuple[str, str, str]] = {
    "backslash": (
        "path is written with backslashes",
        "paths are written with backslashes",
        "read as separators of folders",
    ),
    "ending": (
        "path has no ending",
        "paths have no ending",
        "the one image of that name was taken",
    ),
    "case": (
        "path differs from its file by case",
        "paths differ from their files by case",
        "the one file of that name was taken",
    ),
    "accents": (
        "path composes accented letters in another way than its file",
        "paths compose accented letters in another way than their files",
        "the file was taken",
    ),
}


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _groups(
    groups: tuple[tuple[tuple[str, int], ...], ...], show: Callable[[str], str] = repr
) -> str:
    shown = [
        " and ".join(f"{show(name)} ({n:,})" for name, n in group) for group in groups[:_GROUPS]
    ]
    more = len(groups) - _GROUPS
    return "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")
