"""What was read of a source, and what was left out, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from frostline.core.audit_record import LeftOutKind, PartRead, SourceRead
from frostline.data.naming import counted
from frostline.wording.tasks import TASKS, TaskWords

#: endings, and kinds of one ending, that a sentence names
_ENDINGS = 4
#: how each kind is counted: of one, of several
_WORDS: dict[LeftOutKind, tuple[str, str]] = {
    "not an image": ("file that is not read as an image", "files that are not read as images"),
    "hidden": ("hidden", "hidden"),
    "outside class folders": ("outside class folders", "outside class folders"),
    "outside the parts": ("outside the parts", "outside the parts"),
    "folder without images": ("folder without images", "folders without images"),
    "link to a folder already seen": (
        "link to a folder already seen",
        "links to folders already seen",
    ),
    "mask of another image": ("mask of another image", "masks of other images"),
}


class LeftOut(Protocol):
    """Entries that were left out for one reason."""

    @property
    def kind(self) -> LeftOutKind: ...
    @property
    def count(self) -> int: ...
    @property
    def example(self) -> str: ...
    @property
    def ending(self) -> str: ...
    @property
    def really(self) -> str: ...


def read_words(source: SourceRead, words: TaskWords = TASKS["single"]) -> str:
    """Say what is read, such as "48 images of 2 classes: 36 train, 12 test (Testing)".

    ``words``: of what is predicted.
    """
    count = sum(one.images for one in source.parts)
    said = f"{counted(count, 'image')} {words.having} {words.count(source.classes)}"
    named = [_part_words(one) for one in source.parts if one.part is not None]
    return f"{said}: {', '.join(named)}" if named else said


def left_out_words(left_out: Iterable[LeftOut]) -> str:
    """Say how many entries were left out for each reason, with an example of each."""
    by_kind: dict[LeftOutKind, list[LeftOut]] = {}
    for one in left_out:
        by_kind.setdefault(one.kind, []).append(one)
    said = []
    for kind, (singular, plural) in _WORDS.items():
        found = sorted(by_kind.get(kind, ()), key=lambda one: -one.count)
        if not found:
            continue
        count = sum(one.count for one in found)
        if kind == "not an image":
            inside = [
                f"{one.count:,} {one.ending or 'without ending'}"
                f"{f' ({one.really})' if one.really else ''}, {_such_as(one)}"
                for one in found[:_ENDINGS]
            ]
            if len(found) > _ENDINGS:
                inside.append(f"{sum(one.count for one in found[_ENDINGS:]):,} others")
            details = "; ".join(inside)
        else:
            details = _such_as(found[0])
        said.append(f"{count:,} {singular if count == 1 else plural} ({details})")
    return ", ".join(said)


def _such_as(one: LeftOut) -> str:
    return one.example if one.count == 1 else f"such as {one.example}"


def _part_words(one: PartRead) -> str:
    folders = [name for name in one.folders if name != one.part]
    return f"{one.images:,} {one.part}" + (f" ({', '.join(folders)})" if folders else "")
