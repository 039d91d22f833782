"""What was understood of a source, in words."""

from __future__ import annotations

from frostline.data.naming import shorten, visible
from frostline.data.notes import (
    Combinations,
    LacksClasses,
    ListsOfOne,
    Lookalikes,
    MarkedColumns,
    Mend,
    MendedPaths,
    NoHeader,
    Note,
    OneHotLabels,
    Respelled,
    SkippedLines,
    TakenColumns,
    WeightedImages,
    groups_words,
    names_hint,
)
from frostline.data.sources.folder_notes import FolderNote
from frostline.wording.folder_notes import folder_sentence
from frostline.wording.target_notes import target_sentence

#: names that a sentence shows
_NAMES = 5


def note_sentence(note: Note) -> str:
    """Return what a note says, for people."""
    if isinstance(note, FolderNote):
        return folder_sentence(note)
    match note:
        case Lookalikes() | Combinations():
            return names_hint(note)
        case Respelled(groups):
            return (
                "Labels that differ only by spaces at their ends or by how accents are composed "
                f"are read as one class: {groups_words(groups, show=ascii)}."
            )
        case MendedPaths(how, images, written, read):
            one, many, reading = _MENDED[how]
            return f"{_count(images, one, many)}; {reading}: '{visible(written)}' is {read}."
        case TakenColumns(roles):
            said = [f"column {column!r} is read as {role}" for role, column in roles]
            return f"Other names of columns are understood: {' and '.join(said)}."
        case WeightedImages(column, low, high, none):
            left = f" {_count(none, 'image is', 'images are')} left out, of weight 0."
            by = f"Images count by the column {column!r}, from {low:g} to {high:g}."
            return by + (left if none else "")
        case MarkedColumns(columns):
            return (
                f"{len(columns)} columns of 0 and 1 mark one class in every row and are read as "
                f"one label: {shorten([repr(name) for name in columns], limit=_NAMES)}."
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
            named = shorten([repr(name) for name in names], limit=_NAMES)
            return (
                f"The {where} has images of {of}: none of {named}, so that nothing can be said of "
                f"{'it' if len(names) == 1 else 'them'} there."
            )
        case _:
            return target_sentence(note)


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
