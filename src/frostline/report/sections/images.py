"""What the audit found among the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frostline.report.bounds import total
from frostline.report.data import ReportData
from frostline.report.words import number, plural

_LARGE_SETS = 4


@dataclass(frozen=True)
class Finding:
    """One kind of finding: a title, lines of text, and how many more there are."""

    title: str
    lines: list[str]
    more: int
    grave: bool


@dataclass(frozen=True)
class ImagesView:
    """What the section shows; counts are (number, name, whether it should worry)."""

    counts: list[tuple[str, str, bool]]
    findings: list[Finding]
    ignored: str
    notes: Sequence[str]
    classes: list[tuple[str, int, float]]


def images(data: ReportData) -> ImagesView:
    """Arrange the audit."""
    audit = data.audit
    counts = audit.get("class_counts") or {}
    most = max(counts.values(), default=0) or 1
    kinds = (
        ("unreadable", "unreadable", True),
        ("exact_duplicates", "sets of identical files", False),
        ("near_duplicates", "sets of near-duplicates", False),
        ("label_conflicts", "pictures under two labels", True),
        ("leaks", "pictures in two given parts", True),
    )
    return ImagesView(
        counts=[
            (number(total(audit, name)), title, grave and total(audit, name) > 0)
            for name, title, grave in kinds
        ],
        findings=[finding for finding in _findings(audit) if finding.lines],
        ignored=", ".join(
            f"{count:,} {why}" for why, count in (audit.get("ignored") or {}).items()
        ),
        notes=audit.get("notes") or [],
        classes=[(name, count, count / most) for name, count in counts.items()],
    )


def _findings(audit: Mapping[str, Any]) -> list[Finding]:
    def of(name: str) -> list[Any]:
        return list(audit.get(name) or [])

    every = [
        (
            "unreadable",
            "Unreadable images",
            [f"{x['path']}: {x['reason']}" for x in of("unreadable")],
        ),
        (
            "leaks",
            "The same picture in more than one given part",
            [f"{_paths(x['paths'])} ({', '.join(map(str, x['parts']))})" for x in of("leaks")],
        ),
        (
            "label_conflicts",
            "The same picture under more than one label",
            [f"{_paths(x['paths'])} ({', '.join(x['labels'])})" for x in of("label_conflicts")],
        ),
        (
            "shared_groups",
            "Groups that the given parts tear apart",
            [f"{x['group']} ({', '.join(x['parts'])})" for x in of("shared_groups")],
        ),
        ("exact_duplicates", "Identical files", [_paths(x) for x in of("exact_duplicates")]),
        ("near_duplicates", "Near-duplicates", [_paths(x) for x in of("near_duplicates")]),
    ]
    return [
        Finding(title, lines, total(audit, name) - len(lines), i < _LARGE_SETS)
        for i, (name, title, lines) in enumerate(every)
    ]


def _paths(paths: Sequence[str]) -> str:
    return ", ".join(paths)


def images_in_words(view: ImagesView) -> str:
    """Return how many classes there are, as text."""
    return plural(len(view.classes), "class", "classes")
