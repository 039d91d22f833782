"""What was understood of a source beyond its plain reading, as facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from frostline.core.task import Task
from frostline.data.naming import shorten
from frostline.data.sources.folder_notes import FolderNote

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
class WeightedImages:
    """Images count by a column, from ``low`` to ``high``; ``none`` had 0 and are left out."""

    column: str
    low: float
    high: float
    none: int


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


@dataclass(frozen=True, slots=True)
class SeparatedLabels:
    """Texts that were read as several labels each, and an example.

    ``sign``: what stands between. ``images``: how many have more than one. ``labels``: how many
    different ones there are.
    """

    sign: str
    images: int
    labels: int
    written: str
    read: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MixedLabels:
    """Labels of which some are lists and some text, and an example of a text: one label each."""

    lists: int
    texts: int
    example: str


@dataclass(frozen=True, slots=True)
class VectorLabels:
    """Labels that are vectors of 0 and 1: whether an image has the label of each place."""

    labels: int


@dataclass(frozen=True, slots=True)
class TargetColumns:
    """Columns that are predicted, and as what."""

    task: Task
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NothingKnown:
    """Images of which no label and no number is known; they are left out.

    ``blanks``: whether blank cells of pandas, which reads them so, may be among them.
    """

    images: int
    blanks: bool = False


@dataclass(frozen=True, slots=True)
class OneSidedLabels:
    """Labels that no image has, or none lacks: nothing can be learned of them."""

    names: tuple[str, ...]
    had: bool


@dataclass(frozen=True, slots=True)
class RareLabels:
    """Labels that a single image has, so that they cannot be both learned and judged."""

    names: tuple[str, ...]
    labels: int


@dataclass(frozen=True, slots=True)
class OneLabelEach:
    """Several labels were read, but every image has exactly one."""

    labels: int


@dataclass(frozen=True, slots=True)
class GradesInOrder:
    """Grades in the order that was understood, the lowest first."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuggestedTask:
    """Single labels that look like grades or numbers; they are still read as classes."""

    task: Literal["ordinal", "regression"]
    column: str
    values: int


#: everything that can be said of a source
Note = (
    Lookalikes
    | Combinations
    | Respelled
    | MendedPaths
    | TakenColumns
    | WeightedImages
    | MarkedColumns
    | OneHotLabels
    | ListsOfOne
    | NoHeader
    | SkippedLines
    | LacksClasses
    | SeparatedLabels
    | MixedLabels
    | VectorLabels
    | TargetColumns
    | NothingKnown
    | OneSidedLabels
    | RareLabels
    | OneLabelEach
    | GradesInOrder
    | SuggestedTask
    | FolderNote
)


def names_hint(note: Lookalikes | Combinations) -> str:
    """Say what is odd about names of classes; errors do too."""
    if isinstance(note, Lookalikes):
        return (
            "Names of classes differ only by case, spaces, signs that cannot be seen or the way a "
            f"number is written: {groups_words(note.groups)}. Each is a class of its own; rename "
            "those that are meant to be one."
        )
    shown = shorten([repr(name) for name in note.names], limit=_NAMES)
    have = "image has a label" if note.images == 1 else "images have labels"
    return (
        f"{note.images:,} {have} that {'seems' if note.images == 1 else 'seem'} to list several "
        f"classes: {shown}. Every combination is a class of its own; for several labels an image "
        "say --task multilabel."
    )


def groups_words(
    groups: tuple[tuple[tuple[str, int], ...], ...], show: Callable[[str], str] = repr
) -> str:
    """Say which names, and how often each, a few groups of them hold."""
    shown = [
        " and ".join(f"{show(name)} ({n:,})" for name, n in group) for group in groups[:_GROUPS]
    ]
    more = len(groups) - _GROUPS
    return "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")
