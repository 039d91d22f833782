"""Arrange the data for the template: what goes where, in which order, how much of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from frostline.plan import Plan
from frostline.report.charts import Chart, probe_chart, shift_chart
from frostline.report.data import ReportData

#: more classes than this do not fit into a table that anybody can read
MAX_CONFUSION_CLASSES = 30

#: longer lists are cut; the JSON files beside the report have them whole
MAX_LISTED = 50

#: images that are named of one set of copies
MAX_NAMED = 20

#: more classes than this are not listed one by one
MAX_CLASSES = 2000

CASES = {
    1: ("small data, similar images", "a new head on frozen layers"),
    2: ("large data, similar images", "fine-tune the whole network from its pretrained weights"),
    3: (
        "small data, different images",
        "remove the last layers, freeze the first, train what is new",
    ),
    4: ("large data, different images", "train every layer"),
}

METHODS = {
    "given": "on the test part that came with the data",
    "held-out": "on images held out before training",
    "cross-validation": "by cross-validation: every image judged by a model that never saw it",
}


@dataclass(frozen=True)
class Part:
    """A run of layers that share one fate."""

    kind: str
    title: str
    text: str
    layers: list[str]


@dataclass(frozen=True)
class Confusion:
    """One cell off the diagonal, or a cell of the table."""

    true: str
    predicted: str
    count: int
    share: float


def build(data: ReportData) -> dict[str, Any]:
    """Return the names that the template uses."""
    evidence = data.plan.evidence
    classes = data.classes or tuple(data.scores.get("classes") or ())
    confusion = data.scores.get("confusion") or []
    charts: dict[str, Chart | None] = {"probes": None, "shift": None}
    if evidence is not None:
        charts["probes"] = probe_chart(evidence)
        if evidence.shift.layers:
            charts["shift"] = shift_chart(evidence.shift.layers)
    return {
        "data": data,
        "source": data.source or data.audit.get("source") or "a run",
        "classes": classes,
        "plan": data.plan,
        "evidence": evidence,
        "case": CASES[data.plan.case],
        "test": data.metrics.get("test") or {},
        "method": METHODS.get((data.metrics.get("test") or {}).get("method", ""), ""),
        "charts": charts,
        "parts": parts(data.plan),
        "heat": confusion_table(classes, confusion),
        "confusions": top_confusions(classes, confusion),
        "per_class": per_class(classes, data.scores.get("per_class") or []),
        "phases": phases(data.metrics.get("seconds") or {}),
        "audit": shortened_audit(data.audit),
        "limit": MAX_LISTED,
        "run": shlex.quote(data.run),
        "run_literal": repr(data.run),
        "settings": flat(data.settings),
    }


def parts(plan: Plan) -> list[Part]:
    """Layers in the order an image meets them; what was removed comes last."""
    every = [
        Part("frozen", "frozen", "kept bit by bit as pretrained", plan.frozen),
        Part("trained", "trained", "start from pretrained weights", plan.trained),
        Part("new", "new", "made for these classes", plan.new),
        Part("removed", "removed", "no longer part of the network", plan.removed),
    ]
    return [part for part in every if part.layers]


def confusion_table(
    classes: Sequence[str], confusion: Sequence[Sequence[int]]
) -> list[tuple[str, list[Confusion]]]:
    """Rows of the heat table; empty when there are too many classes or no counts."""
    if not confusion or len(classes) > MAX_CONFUSION_CLASSES:
        return []
    rows = []
    for name, counts in zip(classes, confusion, strict=True):
        total = max(1, sum(counts))
        cells = [
            Confusion(name, other, count, count / total)
            for other, count in zip(classes, counts, strict=True)
        ]
        rows.append((name, cells))
    return rows


def top_confusions(
    classes: Sequence[str], confusion: Sequence[Sequence[int]], *, limit: int = 15
) -> list[Confusion]:
    """Most frequent mistakes, those of the same count in the order of the classes."""
    found = [
        Confusion(classes[i], classes[j], count, count / max(1, sum(counts)))
        for i, counts in enumerate(confusion)
        for j, count in enumerate(counts)
        if i != j and count
    ]
    return sorted(found, key=lambda cell: -cell.count)[:limit]


def per_class(
    classes: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> list[tuple[str, Mapping[str, Any]]]:
    """Per-class scores with names, hardest class first."""
    named = []
    for row in rows:
        key = row.get("class")
        name = classes[key] if isinstance(key, int) and 0 <= key < len(classes) else str(key)
        named.append((name, row))
    hardest = sorted(named, key=lambda pair: pair[1].get("f1") or 0.0)
    if len(hardest) <= MAX_CLASSES:
        return hardest
    more: Mapping[str, Any] = {}
    return [
        *hardest[:MAX_CLASSES],
        (f"and {len(hardest) - MAX_CLASSES:,} more in metrics.json", more),
    ]


def shortened_audit(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the audit with few names of each set of copies that is shown, and not all classes.

    A single set may hold every image: the report must not grow with it.
    """
    short = dict(audit)
    for key in ("exact_duplicates", "near_duplicates"):
        sets = audit.get(key) or []
        short[key] = [*map(_few, sets[:MAX_LISTED]), *sets[MAX_LISTED:]]
    for key in ("leaks", "label_conflicts"):
        sets = audit.get(key) or []
        named = [
            {name: _few(v) if isinstance(v, list) else v for name, v in item.items()}
            for item in sets[:MAX_LISTED]
        ]
        short[key] = [*named, *sets[MAX_LISTED:]]
    counts = audit.get("class_counts") or {}
    if len(counts) > MAX_CLASSES:
        more = f"and {len(counts) - MAX_CLASSES:,} more classes in audit.json"
        short["class_counts"] = {**dict(islice(counts.items(), MAX_CLASSES)), more: None}
    return short


def _few(names: Sequence[str]) -> list[str]:
    more = len(names) - MAX_NAMED
    return list(names) if more <= 0 else [*names[:MAX_NAMED], f"and {more:,} more"]


def phases(seconds: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Phases with their seconds and their share of the longest, without the total."""
    single = {k: float(v) for k, v in seconds.items() if k != "total" and v is not None}
    longest = max(single.values(), default=0.0) or 1.0
    return [(name, value, value / longest) for name, value in single.items()]


def flat(settings: Mapping[str, Any], *, before: str = "") -> dict[str, Any]:
    """Settings name by name: ``{"resolved": {"threads": 2}}`` becomes ``resolved threads``."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, before=f"{before}{name} ")
        else:
            found[before + name] = "not set" if value is None else value
    return found
