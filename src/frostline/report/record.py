"""What a report is made of, kept as one file, so that the page can be made anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator

from frostline.core.errors import RunFolderError
from frostline.core.files import MissingFileError, UnfitFileError, read_regular, write_text
from frostline.core.run_record import RunRecord
from frostline.explain.gallery import Gallery
from frostline.report.bounds import TRUNCATED, bounded
from frostline.report.data import ReportData

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


_GALLERY = TypeAdapter(Gallery)


class ReportFile(RunRecord):
    """A report's file; ``format_version`` grows when an older reader would not cope.

    Some scores lie apart from the metrics, and lists that were cut beside their ``totals``.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: Literal[1, 2] = 2
    gallery: Gallery | None = None

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
        return ReportData(record=RunRecord(**fields), gallery=self.gallery)


def _with_totals(audit: dict[str, Any], totals: dict[str, Any]) -> dict[str, Any]:
    lists = {name for name in totals if name in TRUNCATED and isinstance(audit.get(name), list)}
    return {name: {"items": audit[name], "total": totals[name]} for name in lists}


def save_record(path: Path, data: ReportData) -> None:
    """Write what a report is made of, whole or not at all.

    Raises RunFolderError if the file cannot be written.
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
        record["gallery"] = _GALLERY.dump_python(kept.gallery, mode="json")
    version = ReportFile.model_fields["format_version"].default
    content = {"format_version": version, **record}
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    write_text(path, text + "\n")


def load_record(path: Path) -> ReportData:
    """Read what a report is made of.

    Raises RunFolderError if the file is missing, too large, damaged or of a newer version.
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
