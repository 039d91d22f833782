"""What the audit found among the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from frostline.core.audit_record import AuditRecord, Paths
from frostline.core.truncated import Truncated
from frostline.wording.numbers import number, truncated
from frostline.wording.sources import left_out_words, read_words
from frostline.wording.tasks import TASKS, TaskWords

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


def images(audit: AuditRecord, words: TaskWords = TASKS["single"]) -> ImagesView:
    """Arrange the audit; ``words``: of what is predicted."""
    counts = audit.class_counts
    most = max(counts.values(), default=0) or 1
    # older runs do not tell
    understood = audit.understood
    below = shared_folder(_every_path(audit))
    kinds = (
        (audit.unreadable, "unreadable", True),
        (audit.exact_duplicates, "sets of identical files", False),
        (audit.near_duplicates, "sets of near-duplicates", False),
        (audit.altered_copies, "sets of mirrored, turned or cropped copies", False),
        (audit.label_conflicts, f"pictures {words.conflict}", True),
        (audit.leaks, "pictures in two given parts", True),
    )
    return ImagesView(
        counts=[
            (number(found.total), title, grave and found.total > 0) for found, title, grave in kinds
        ],
        findings=[finding for finding in _findings(audit, below, words) if finding.lines],
        below=below,
        read="" if understood is None else read_words(understood, words),
        ignored=left_out_words(understood.left_out)
        if understood is not None
        else ", ".join(f"{count:,} {why}" for why, count in audit.ignored.items()),
        notes=audit.notes,
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


def _every_path(audit: AuditRecord) -> Iterator[str]:
    yield from (entry.path for entry in audit.unreadable.items)
    for paths in [x.paths for x in audit.leaks.items]:
        yield from paths.items
    for paths in [x.paths for x in audit.label_conflicts.items]:
        yield from paths.items
    for copies in (audit.exact_duplicates, audit.near_duplicates, audit.altered_copies):
        for paths in copies.items:
            yield from paths.items


def _findings(audit: AuditRecord, below: str, words: TaskWords) -> list[Finding]:
    def short(path: str) -> str:
        return path.removeprefix(f"{below}/") if below else path

    def listed(paths: Paths) -> str:
        return truncated(map(short, paths.items), paths.missing)

    def sets(copies: Truncated[Paths]) -> list[str]:
        return [listed(paths) for paths in copies.items]

    def names(found: Truncated[Any]) -> str:
        return truncated(map(str, found.items), found.missing)

    every: list[tuple[Truncated[Any], str, list[str]]] = [
        (
            audit.unreadable,
            "Unreadable images",
            [f"{short(x.path)}: {x.reason}" for x in audit.unreadable.items],
        ),
        (
            audit.leaks,
            "The same picture in more than one given part",
            [f"{listed(x.paths)} ({names(x.parts)})" for x in audit.leaks.items],
        ),
        (
            audit.label_conflicts,
            f"The same picture {words.conflicts}",
            [f"{listed(x.paths)} ({names(x.labels)})" for x in audit.label_conflicts.items],
        ),
        (
            audit.shared_groups,
            "Groups that the given parts tear apart",
            [f"{x.group} ({', '.join(x.parts)})" for x in audit.shared_groups.items],
        ),
        (audit.exact_duplicates, "Identical files", sets(audit.exact_duplicates)),
        (audit.near_duplicates, "Near-duplicates", sets(audit.near_duplicates)),
        (audit.altered_copies, "Mirrored, turned or cropped copies", sets(audit.altered_copies)),
    ]
    return [
        Finding(title, lines, found.missing, i < _LARGE_SETS)
        for i, (found, title, lines) in enumerate(every)
    ]
