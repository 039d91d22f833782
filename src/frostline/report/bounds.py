"""Keep a report small, however many images there are: long lists are cut, pictures shrunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from frostline.report.data import ReportData
from frostline.report.pictures import shrunk

#: longer lists are cut; the JSON files beside the report have them whole
MAX_LISTED = 50
#: epochs that are kept of a longer history
_MAX_EPOCHS = 400
#: paths that are kept of one set of copies
_MAX_COPIES = 12
#: begins what stands for the rest of a list
_REST = "and "
#: entries of the metrics that the scores hold as well
_DOUBLE = ("classes", "confusion", "per_class", "reliability")


def bounded(data: ReportData) -> ReportData:
    """Return the same report without what would not be shown; doing it twice changes nothing."""
    return replace(
        data,
        metrics=_metrics(data.metrics),
        audit=_audit(data.audit),
        gallery=None if data.gallery is None else shrunk(data.gallery),
    )


def total(audit: Mapping[str, Any], name: str) -> int:
    """Return how many entries a list of the audit had before it was cut."""
    known = (audit.get("totals") or {}).get(name)
    return int(known) if known is not None else len(audit.get(name) or ())


def is_rest(path: str) -> bool:
    """Whether a text stands for paths that were cut, and is no path itself."""
    return path.startswith(_REST) and path.endswith(" more")


def _metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(metrics)
    if kept.get("test"):
        kept["test"] = {k: v for k, v in kept["test"].items() if k not in _DOUBLE}
    history = kept.get("history") or []
    step = -(-len(history) // _MAX_EPOCHS)
    if step > 1:
        kept["history"] = history[::step]
    return kept


def _audit(audit: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(audit)
    names = [name for name, value in kept.items() if isinstance(value, list)]
    kept["totals"] = {name: total(audit, name) for name in names}
    for name in names:
        kept[name] = [_cut(entry) for entry in kept[name][:MAX_LISTED]]
    return kept


def _cut(entry: Any) -> Any:
    if isinstance(entry, list) and len(entry) > _MAX_COPIES:
        return [*entry[: _MAX_COPIES - 1], f"{_REST}{len(entry) - _MAX_COPIES + 1} more"]
    if isinstance(entry, Mapping):
        return {name: _cut(value) for name, value in entry.items()}
    return entry
