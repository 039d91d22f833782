"""What the audit found, as a list of images with a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from frostline.data.audit import Audit

#: images of one group that are shown, at most
_OF_A_GROUP = 4


@dataclass(frozen=True)
class Finding:
    """One image of a group of copies; ``name`` is its name in the catalog."""

    name: str
    note: str


def list_findings(audit: Audit, *, most: int) -> list[Finding]:
    """List images of leaks, contradictions, near-duplicates and copies, in this order.

    ``most``: how many images are listed at most; a group is listed with two images or not at all.
    """
    found: list[Finding] = []
    shown: list[set[str]] = []
    for names, others, notes in _groups(audit):
        # a leak is a copy as well: it is told once, by what is worst about it
        if any(set(names) <= other for other in shown):
            continue
        room = min(_OF_A_GROUP, most - len(found))
        if room < 2:
            break
        shown.append(set(names))
        chosen = _different_first(others)[:room]
        found += [Finding(names[i], notes[i]) for i in sorted(chosen)]
    return found


def _groups(audit: Audit) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """Names of every group, the worst first, what tells its members apart, and their notes."""
    for leak in audit.leaks:
        parts = [part or "no part" for part in leak["parts"]]
        every = _words(parts)
        yield (
            leak["paths"],
            parts,
            [f"Leak: the same picture is in {every}; this one in {part}." for part in parts],
        )
    for conflict in audit.label_conflicts:
        every = _words(conflict["labels"])
        picture = "The same file" if conflict["kind"] == "exact" else "Nearly the same picture"
        yield (
            conflict["paths"],
            conflict["labels"],
            [f"{picture} is labelled {every}; this one {x}." for x in conflict["labels"]],
        )
    for kind, groups in (
        ("Near-duplicate of", audit.near_duplicates),
        ("Likely a mirrored, turned or cropped copy of", audit.altered_copies),
        ("Same file as", audit.exact_duplicates),
    ):
        for names in groups:
            others = [names[1 if i == 0 else 0] for i in range(len(names))]
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            yield names, others, [f"{kind} {other}{more}." for other in others]


def _words(values: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(values))


def _different_first(kinds: Sequence[str]) -> list[int]:
    """Positions, one of every kind before any comes again."""
    seen: dict[str, int] = {}
    order = []
    for i, kind in enumerate(kinds):
        seen[kind] = seen.get(kind, 0) + 1
        order.append((seen[kind], i))
    return [i for _, i in sorted(order)]
