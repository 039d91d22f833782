"""Keep a report small, however many images there are: long lists are cut, pictures shrunk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from frostline.core.audit_record import AuditRecord, Paths
from frostline.core.run_record import Metrics
from frostline.core.truncated import Truncated
from frostline.report.data import ReportData
from frostline.report.pictures import shrunk

#: longer lists are cut; the JSON files beside the report have them whole
MAX_LISTED = 50
#: epochs that are kept of a longer history
_MAX_EPOCHS = 400
#: paths that are kept of one set of copies, the note of more among them
_MAX_COPIES = 12
#: lists of the audit that are cut
TRUNCATED = frozenset(
    name for name, field in AuditRecord.model_fields.items() if isinstance(field.default, Truncated)
)


def bounded(data: ReportData) -> ReportData:
    """Return the same report without what would not be shown; doing it twice changes nothing."""
    record = data.record
    changes = {"audit": _audit(record.audit), "metrics": _metrics(record.metrics)}
    return replace(
        data,
        record=record.model_copy(update=changes),
        gallery=None if data.gallery is None else shrunk(data.gallery),
    )


def _metrics(metrics: Metrics) -> Metrics:
    step = -(-len(metrics.history) // _MAX_EPOCHS)
    return metrics.model_copy(update={"history": metrics.history[::step]}) if step > 1 else metrics


def _audit(audit: AuditRecord) -> AuditRecord:
    changes: dict[str, Any] = {"notes": audit.notes[:MAX_LISTED]}
    for name in TRUNCATED & audit.model_fields_set:
        kept = getattr(audit, name).cut(MAX_LISTED)
        changes[name] = kept.model_copy(update={"items": tuple(map(_entry, kept.items))})
    return audit.model_copy(update=changes)


def _entry(entry: Any) -> Any:
    """Cut the lists of paths, labels and parts that one entry of a list holds."""
    if isinstance(entry, Truncated):
        return _cut(entry)
    lists = {name: value for name, value in entry if isinstance(value, Truncated)}
    return entry.model_copy(update={name: _cut(value) for name, value in lists.items()})


def _cut(paths: Paths) -> Paths:
    return paths.cut(_MAX_COPIES - 1) if len(paths.items) > _MAX_COPIES else paths
