"""What the audit found among the images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from frostline.data.understood import Understood
from frostline.report.bounds import is_rest, total
from frostline.report.data import ReportData
from frostline.wording.numbers import number

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
    """What the section shows; counts are (number, name, whether it should worry).

    ``below`` is the folder that all named files share, which is left out of their names.
    """

    counts: list[tuple[str, str, bool]]
    findings: list[Finding]
    below: str
    read: str
    ignored: str
    notes: Sequence[str]
    classes: list[tuple[str, int, float]]


def images(data: ReportData) -> ImagesView:
    """Arrange the audit."""
    audit = data.audit
    counts = audit.get("class_counts") or {}
    most = max(counts.values(), default=0) or 1
    # older runs do not tell
    told = audit.get("understood")
    understood = None if told is None else Understood.from_json(told)
    below = shared_folder(_every_path(audit))
    kinds = (
        ("unreadable", "unreadable", True),
        ("exact_duplicates", "sets of identical files", False),
        ("near_duplicates", "sets of near-duplicates", False),
        ("altered_copies", "sets of mirrored, turned or cropped copies", False),
        ("label_conflicts", "pictures under two labels", True),
        ("leaks", "pictures in two given parts", True),
    )
    return ImagesView(
        counts=[
            (number(total(audit, name)), title, grave and total(audit, name) > 0)
            for name, title, grave in kinds
        ],
        findings=[finding for finding in _findings(audit, below) if finding.lines],
        below=below,
        read="" if understood is None else understood.read,
        ignored=understood.rest
        if understood is not None
        else ", ".join(f"{count:,} {why}" for why, count in (audit.get("ignored") or {}).items()),
        notes=audit.get("notes") or [],
        classes=[(name, count, count / most) for name, count in counts.items()],
    )


def shared_folder(paths: Iterable[str]) -> str:
    """Return the folder that all absolute paths lie in; empty if any is relative."""
    shared: PurePath | None = None
    for path in map(PurePath, paths):
        if not path.is_absolute():
            return ""
        if shared is None:
            shared = path.parent
        while not path.is_relative_to(shared):
            shared = shared.parent
    return "" if shared is None or shared == shared.parent else str(shared)


def _every_path(audit: Mapping[str, Any]) -> list[str]:
    found = [entry["path"] for entry in audit.get("unreadable") or ()]
    for name in ("leaks", "label_conflicts"):
        found += [path for entry in audit.get(name) or () for path in _files(entry["paths"])]
    for name in ("exact_duplicates", "near_duplicates", "altered_copies"):
        found += [path for paths in audit.get(name) or () for path in _files(paths)]
    return found


def _files(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if not is_rest(path)]


def _findings(audit: Mapping[str, Any], below: str) -> list[Finding]:
    def of(name: str) -> list[Any]:
        return list(audit.get(name) or [])

    def short(paths: Sequence[str]) -> str:
        return ", ".join(path.removeprefix(f"{below}/") if below else path for path in paths)

    def copies(name: str, key: str) -> list[str]:
        return [f"{short(x['paths'])} ({', '.join(map(str, x[key]))})" for x in of(name)]

    unreadable = [f"{short([x['path']])}: {x['reason']}" for x in of("unreadable")]
    groups = [f"{x['group']} ({', '.join(x['parts'])})" for x in of("shared_groups")]
    every = [
        ("unreadable", "Unreadable images", unreadable),
        ("leaks", "The same picture in more than one given part", copies("leaks", "parts")),
        (
            "label_conflicts",
            "The same picture under more than one label",
            copies("label_conflicts", "labels"),
        ),
        ("shared_groups", "Groups that the given parts tear apart", groups),
        ("exact_duplicates", "Identical files", [short(x) for x in of("exact_duplicates")]),
        ("near_duplicates", "Near-duplicates", [short(x) for x in of("near_duplicates")]),
        (
            "altered_copies",
            "Mirrored, turned or cropped copies",
            [short(x) for x in of("altered_copies")],
        ),
    ]
    return [
        Finding(title, lines, total(audit, name) - len(lines), i < _LARGE_SETS)
        for i, (name, title, lines) in enumerate(every)
    ]
