"""What a report is made of, kept as one file, so that the page can be made anew."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from frostline.core.errors import InputError, RunFolderError
from frostline.core.files import MissingFileError, UnfitFileError, read_regular, write_text
from frostline.core.plan import Plan
from frostline.data.sources.left_out import Kind
from frostline.explain.gallery import Depth, Gallery, Tile
from frostline.report.bounds import bounded
from frostline.report.data import ReportData
from frostline.report.pictures import sides

VERSION = 1
#: a larger file was not written by Frostline
_MOST_BYTES = 40_000_000

_FIT_AGAIN = "Run 'frostline fit' again with --overwrite to make it anew."


def _picture(value: object) -> bytes:
    """Read base64, and make sure that it is a picture."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("a picture must be base64 text")
    try:
        found = base64.b64decode(value, validate=True)
        if found:
            sides(found)
    except (binascii.Error, OSError, InputError) as error:
        raise ValueError("this is no picture") from error
    return found


Picture = Annotated[
    bytes,
    BeforeValidator(_picture),
    PlainSerializer(lambda value: base64.b64encode(value).decode("ascii")),
]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class _Open(_Part):
    """A part that may hold more than the page needs."""

    model_config = ConfigDict(extra="allow")


class TileRecord(_Part):
    """One image of the gallery."""

    path: str
    label: str
    prediction: str = ""
    confidence: Share = 0.0
    thumbnail: Picture
    heat: Picture = b""
    note: str = ""


class DepthRecord(_Part):
    """What one depth responds to."""

    layer: str
    picture: Picture
    frozen: bool


class GalleryRecord(_Part):
    """All pictures."""

    mistakes: tuple[TileRecord, ...] = ()
    doubtful: tuple[TileRecord, ...] = ()
    findings: tuple[TileRecord, ...] = ()
    filters: Picture = b""
    depths: tuple[DepthRecord, ...] = ()

    def gallery(self) -> Gallery:
        """Return the pictures as the rest of Frostline knows them."""
        return Gallery(
            mistakes=tuple(Tile(**dict(tile)) for tile in self.mistakes),
            doubtful=tuple(Tile(**dict(tile)) for tile in self.doubtful),
            findings=tuple(Tile(**dict(tile)) for tile in self.findings),
            filters=self.filters,
            depths=tuple(Depth(**dict(depth)) for depth in self.depths),
        )


class ClassRecord(_Open):
    """Scores of one class."""

    precision: Share | None = None
    recall: Share | None = None
    f1: Share | None = None
    support: Count = 0


class BinRecord(_Open):
    """Predictions of about the same confidence."""

    n: Annotated[int, Field(ge=1)]
    confidence: Share
    accuracy: Share


class ScoresRecord(_Open):
    """Scores on images that did not teach the model."""

    confusion: list[list[Count]] = []
    per_class: list[ClassRecord] = []
    reliability: list[BinRecord] = []

    @model_validator(mode="after")
    def _square(self) -> ScoresRecord:
        n = len(self.confusion)
        if any(len(row) != n for row in self.confusion):
            raise ValueError("the confusion matrix is not square")
        return self


class MetricsRecord(_Open):
    """The content of ``metrics.json``, as far as the page reads it."""

    test: dict[str, Any] = {}
    seconds: dict[str, float | None] = {}
    history: list[dict[str, Any]] = []
    caveats: list[str] = []
    notes: list[str] = []


class UnreadableRecord(_Open):
    """An image that was left out."""

    path: str
    reason: str


class CopiesRecord(_Open):
    """Images that show the same, with what speaks against that."""

    paths: list[str]
    labels: list[str] = []
    parts: list[str | None] = []


class GroupRecord(_Open):
    """A group that the given parts tear apart."""

    group: str
    parts: list[str]


class PartRecord(_Part):
    """One part of the source, as it was read."""

    part: Literal["train", "val", "test"] | None
    folders: list[str]
    images: Count
    classes: Count


class LeftOutRecord(_Part):
    """What was left out for one reason."""

    kind: Kind
    count: Count
    example: str
    ending: str = ""
    really: str = ""


class UnderstoodRecord(_Part):
    """What was made of the source."""

    classes: Count
    parts: list[PartRecord]
    left_out: list[LeftOutRecord]


class AuditRecord(_Open):
    """The content of ``audit.json``, as far as the page reads it."""

    unreadable: list[UnreadableRecord] = []
    exact_duplicates: list[list[str]] = []
    near_duplicates: list[list[str]] = []
    altered_copies: list[list[str]] = []
    label_conflicts: list[CopiesRecord] = []
    leaks: list[CopiesRecord] = []
    shared_groups: list[GroupRecord] = []
    ignored: dict[str, Count] = {}
    understood: UnderstoodRecord | None = None
    class_counts: dict[str, Count] = {}
    notes: list[str] = []
    totals: dict[str, Count] = {}


class ProvenanceRecord(_Open):
    """How to make the same model again."""

    command: str = ""
    versions: dict[str, str] = {}
    fingerprints: dict[str, str] = {}


class Record(_Part):
    """Everything on the page; ``format_version`` grows when an older reader would not cope."""

    format_version: Literal[1] = 1
    plan: Plan
    metrics: MetricsRecord
    scores: ScoresRecord
    audit: AuditRecord
    settings: dict[str, Any] = {}
    source: str = ""
    classes: tuple[str, ...] = ()
    run: str = "RUN"
    version: str = ""
    provenance: ProvenanceRecord = ProvenanceRecord()
    gallery: GalleryRecord | None = None

    @model_validator(mode="after")
    def _fits(self) -> Record:
        if self.scores.confusion and len(self.scores.confusion) != len(self.classes):
            raise ValueError(
                f"there are {len(self.classes)} classes but a confusion matrix of "
                f"{len(self.scores.confusion)}"
            )
        return self


def save_record(path: Path, data: ReportData) -> None:
    """Write what a report is made of, whole or not at all.

    Raises
    ------
    RunFolderError
        If the file cannot be written.
    """
    kept = bounded(data)
    classes = kept.classes or tuple(kept.scores.get("classes") or ())
    record = Record.model_validate({**vars(kept), "classes": classes}, from_attributes=True)
    write_text(path, record.model_dump_json() + "\n")


def load_record(path: Path) -> ReportData:
    """Read what a report is made of.

    Raises
    ------
    RunFolderError
        If the file is missing, too large, damaged or of a newer version.
    """
    try:
        text = read_regular(path, at_most=_MOST_BYTES)
    except MissingFileError as error:
        raise RunFolderError(
            f"{path} cannot be read: {error}.",
            hint="Runs of older versions have no such file. " + _FIT_AGAIN,
        ) from None
    except UnfitFileError as error:
        raise RunFolderError(f"{path} cannot be read: {error}.", hint=_FIT_AGAIN) from None
    try:
        record = Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        newer = first["loc"] == ("format_version",)
        raise RunFolderError(
            f"{path} is damaged or of another version: {where}: {first['msg']}.",
            hint="Update Frostline." if newer else _FIT_AGAIN,
        ) from None
    values = {name: getattr(record, name) for name in Record.model_fields}
    del values["format_version"]
    for name in ("metrics", "scores", "audit", "provenance"):
        values[name] = values[name].model_dump(exclude_unset=True)
    values["gallery"] = None if record.gallery is None else record.gallery.gallery()
    return ReportData(**values)
