"""What was found out about the images before anything learned from them: ``audit.json``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from frostline.core.json_record import JsonRecord
from frostline.core.truncated import Truncated

Count = Annotated[int, Field(ge=0)]
PartName = Literal["train", "val", "test"]
#: why entries of a source are left out
LeftOutKind = Literal[
    "not an image",
    "hidden",
    "outside class folders",
    "outside the parts",
    "folder without images",
    "link to a folder already seen",
    "mask of another image",
]
Paths = Truncated[str]


class UnreadableImage(JsonRecord):
    """An image that was left out."""

    path: str
    reason: str


class PartRead(JsonRecord):
    """One part: what it is called in the source, how many images it has, of how many classes."""

    part: PartName | None
    folders: tuple[str, ...]
    images: Count
    classes: Count


class LeftOutEntries(JsonRecord):
    """Entries of a source that were left out for one reason; ``example`` is the first of them.

    ``ending`` is that of files that are not read as images, ``really`` what the first of them is
    by its bytes, where somebody may miss it.
    """

    kind: LeftOutKind
    count: Count
    example: str
    ending: str = ""
    really: str = ""


class SourceRead(JsonRecord):
    """The reading of a source, as counts; one part without a name if the source has no parts."""

    classes: Count
    parts: tuple[PartRead, ...]
    left_out: tuple[LeftOutEntries, ...]


class LabelConflict(JsonRecord):
    """Copies of one image under different labels."""

    paths: Paths
    labels: Truncated[str] = Truncated()
    kind: Literal["exact", "near"] = "exact"


class Leak(JsonRecord):
    """Copies of one image in different given parts."""

    paths: Paths
    parts: Truncated[PartName | None] = Truncated()


class SharedGroup(JsonRecord):
    """A group that the given parts tear apart."""

    group: str
    parts: tuple[PartName, ...]
    images: Count = 0


class AuditRecord(JsonRecord):
    """The content of ``audit.json``.

    - ``exact_duplicates``: paths of files with the same bytes.
    - ``near_duplicates``: of files that show the same in other bytes.
    - ``altered_copies``: of files of which one shows another mirrored, turned, shifted or cropped.
    - ``near_duplicate_search``: whether near-duplicates were looked for among all pairs.
    - ``values`` and ``unseen``: how values that are not plain 8 bits are read, and what of the
      pictures never reaches the model.
    - ``notes``: for people.
    """

    source: str = ""
    images: Count = 0
    class_counts: dict[str, Count] = Field(default_factory=dict)
    unreadable: Truncated[UnreadableImage] = Truncated()
    ignored: dict[str, Count] = Field(default_factory=dict)
    understood: SourceRead | None = None
    exact_duplicates: Truncated[Paths] = Truncated()
    near_duplicates: Truncated[Paths] = Truncated()
    altered_copies: Truncated[Paths] = Truncated()
    near_duplicate_search: str = "complete"
    label_conflicts: Truncated[LabelConflict] = Truncated()
    leaks: Truncated[Leak] = Truncated()
    shared_groups: Truncated[SharedGroup] = Truncated()
    values: dict[str, JsonValue] = Field(default_factory=dict)
    unseen: dict[str, JsonValue] | None = None
    notes: tuple[str, ...] = ()
