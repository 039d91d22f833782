"""What a report is made of, kept as one file, so that the page can be made anew."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from frostline.core.errors import InputError, RunFolderError
from frostline.core.files import MissingFileError, UnfitFileError, read_regular, write_text
from frostline.core.run_record import RunRecord, Share
from frostline.explain.gallery import Depth, Gallery, Tile
from frostline.report.bounds import TRUNCATED, bounded
from frostline.report.data import ReportData
from frostline.report.pictures import sides

#: a larger file was not written by Frostline
_MOST_BYTES = 40_000_000
#: scores that the file has apart from the other metrics ...
_APART = ("reliability", "classes", "confusion", "per_class")
#: ... beside those that it has twice
_SCORES = (
    *("n", "accuracy", "accuracy_interval", "balanced_accuracy", "balanced_accuracy_interval"),
    *("macro_f1", "nll", "brier", "ece"),
    *_APART,
)

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


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


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


class ReportFile(RunRecord):
    """A report's file; ``format_version`` grows when an older reader would not cope.

    Some scores lie apart from the metrics, and lists that were cut beside their ``totals``.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: Literal[1, 2] = 2
    gallery: GalleryRecord | None = None

    @model_validator(mode="before")
    @classmethod
    def _joined(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        kept = {name: value for name, value in values.items() if name != "scores"}
        metrics, scores, audit = (values.get(name) for name in ("metrics", "scores", "audit"))
        if isinstance(metrics, dict) and isinstance(metrics.get("test"), dict):
            kept["metrics"] = {**metrics, "test": {**(scores or {}), **metrics["test"]}}
        if isinstance(audit, dict) and isinstance(audit.get("totals"), dict):
            kept["audit"] = {**audit, **_with_totals(audit, audit["totals"])}
        return kept

    @model_validator(mode="after")
    def _fits(self) -> Self:
        confusion = self.metrics.test.confusion
        if confusion and len(confusion) != len(self.classes):
            raise ValueError(
                f"there are {len(self.classes)} classes but a confusion matrix of {len(confusion)}"
            )
        return self

    def data(self) -> ReportData:
        """Return what the page is made of."""
        fields = {name: getattr(self, name) for name in RunRecord.model_fields}
        gallery = None if self.gallery is None else self.gallery.gallery()
        return ReportData(record=RunRecord(**fields), gallery=gallery)


def _with_totals(audit: dict[str, Any], totals: dict[str, Any]) -> dict[str, Any]:
    lists = {name for name in totals if name in TRUNCATED and isinstance(audit.get(name), list)}
    return {name: {"items": audit[name], "total": totals[name]} for name in lists}


def save_record(path: Path, data: ReportData) -> None:
    """Write what a report is made of, whole or not at all.

    Raises
    ------
    RunFolderError
        If the file cannot be written.
    """
    kept = bounded(data)
    record = kept.record.to_json()
    test, audit = record["metrics"]["test"], record.get("audit")
    record["scores"] = {name: test[name] for name in _SCORES if name in test}
    record["metrics"]["test"] = {name: test[name] for name in test if name not in _APART}
    if audit:
        totals = {name: getattr(kept.record.audit, name).total for name in TRUNCATED}
        audit["totals"] = {name: total for name, total in totals.items() if name in audit}
        for name in TRUNCATED & audit.keys():
            audit[name] = audit[name]["items"] if isinstance(audit[name], dict) else audit[name]
    if kept.gallery is not None:
        record["gallery"] = GalleryRecord.model_validate(kept.gallery).model_dump(mode="json")
    version = ReportFile.model_fields["format_version"].default
    content = {"format_version": version, **record}
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    write_text(path, text + "\n")


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
        return ReportFile.model_validate_json(text).data()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        newer = first["loc"] == ("format_version",)
        raise RunFolderError(
            f"{path} is damaged or of another version: {where}: {first['msg']}.",
            hint="Update Frostline." if newer else _FIT_AGAIN,
        ) from None
