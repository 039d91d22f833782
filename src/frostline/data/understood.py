"""What was made of a source: its parts with images and classes, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from frostline.data.catalog import Catalog, Part
from frostline.data.naming import counted
from frostline.data.sources.left_out import Kind, LeftOut

#: endings, and kinds of one ending, that a sentence names
_ENDINGS = 4
#: how each kind is counted: of one, of several
_WORDS: dict[Kind, tuple[str, str]] = {
    "not an image": (
        "file that is not read as an image",
        "files that are not read as images",
    ),
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


@dataclass(frozen=True, slots=True)
class PartRead:
    """One part: what it is called in the source, how many images it has, of how many classes."""

    part: Part | None
    folders: tuple[str, ...]
    images: int
    classes: int


@dataclass(frozen=True, slots=True)
class Understood:
    """The reading of a source, as counts.

    Attributes
    ----------
    classes : int
    parts : tuple of PartRead
        One without a name if the source has no parts.
    left_out : tuple of LeftOut
    """

    classes: int
    parts: tuple[PartRead, ...]
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def of(cls, catalog: Catalog) -> Understood:
        """Count the readable images of a catalog."""
        images = Counter(catalog.parts)
        classes = Counter(part for part, _ in {(row.part, row.label) for row in catalog.rows})
        folders = catalog.folders
        parts: tuple[Part | None, ...] = ("train", "val", "test", None)
        read = (
            PartRead(p, tuple(name for part, name in folders if part == p), images[p], classes[p])
            for p in parts
            if images[p]
        )
        return cls(len(catalog.classes), tuple(read), catalog.left_out)

    def to_json(self) -> dict[str, Any]:
        """Return JSON types."""
        left_out = [asdict(replace(one, files=())) for one in self.left_out]
        shown = [{k: v for k, v in one.items() if k != "files"} for one in left_out]
        parts = [{**asdict(one), "folders": list(one.folders)} for one in self.parts]
        return {"classes": self.classes, "parts": parts, "left_out": shown}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Understood:
        """Return what :meth:`to_json` wrote."""
        parts = (PartRead(**{**p, "folders": tuple(p["folders"])}) for p in found["parts"])
        left_out = (LeftOut(**one) for one in found["left_out"])
        return cls(found["classes"], tuple(parts), tuple(left_out))

    @property
    def read(self) -> str:
        """Say what is read, such as "48 images of 2 classes: 36 train, 12 test (Testing)"."""
        count = sum(one.images for one in self.parts)
        said = f"{counted(count, 'image')} of {counted(self.classes, 'class', 'classes')}"
        named = [_part_in_words(one) for one in self.parts if one.part is not None]
        return f"{said}: {', '.join(named)}" if named else said

    @property
    def rest(self) -> str:
        """Say what was left out, why, and an example of each; empty if nothing was."""
        return left_out_in_words(self.left_out)


def left_out_in_words(left_out: Iterable[LeftOut]) -> str:
    """Say how many entries were left out for each reason, with an example of each."""
    by_kind: dict[Kind, list[LeftOut]] = {}
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


def _part_in_words(one: PartRead) -> str:
    folders = [name for name in one.folders if name != one.part]
    return f"{one.images:,} {one.part}" + (f" ({', '.join(folders)})" if folders else "")
