"""What was understood of a source beyond its plain reading: facts, and the sentences that say them.

Facts travel as types, so that nothing reads a sentence; :func:`sentence` alone words them.
"""

from __future__ import annotations

from dataclasses import dataclass

from frostline.images.naming import some

#: groups of names and single names that a sentence shows
_GROUPS, _NAMES = 3, 5


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """Classes whose names are hard to tell apart: groups of (name, number of images)."""

    groups: tuple[tuple[tuple[str, int], ...], ...]


@dataclass(frozen=True, slots=True)
class Combinations:
    """Classes whose names seem to list other classes, and how many images they have."""

    names: tuple[str, ...]
    images: int


#: everything that can be said of a source
Note = Lookalikes | Combinations


def sentence(note: Note) -> str:
    """Return what a note says, for people."""
    match note:
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


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _groups(groups: tuple[tuple[tuple[str, int], ...], ...]) -> str:
    shown = [" and ".join(f"{name!r} ({n:,})" for name, n in group) for group in groups[:_GROUPS]]
    more = len(groups) - _GROUPS
    return "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")
