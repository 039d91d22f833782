"""Look at the images before anything learns from them: copies, contradictions, leaks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.images.catalog import Catalog
from frostline.images.grouping import complete_linkage, joined, shared
from frostline.images.moved_copies import BACKGROUND_RANK, moved_pairs
from frostline.images.near_duplicates import COMPLETE_UP_TO, find_near_duplicates


@dataclass(frozen=True)
class Audit:
    """What is known about the images of a catalog; paths are row names.

    Attributes
    ----------
    class_counts : dict of str to int
        Images of each class, all parts together.
    exact_duplicates : list of list of str
        Files with the same bytes.
    near_duplicates : list of list of str
        Files that show the same picture in other bytes (re-encoded, resized, brightened).
    label_conflicts : list of dict
        ``paths`` and ``labels`` of duplicates that are labelled differently; ``kind`` is
        ``"exact"`` or ``"near"``.
    leaks : list of dict
        ``paths`` and ``parts`` of duplicates that the user's own parts tear apart.
    shared_groups : list of dict
        ``group``, ``parts`` and ``images`` of the user's groups that the parts tear apart.
    leaked : bool ndarray of shape (n,)
        True for rows of a given test part that have a duplicate in the other parts.
    groups : int64 ndarray of shape (n,)
        Rows with one number must stay together: the user's groups, exact and near-duplicates.
    searched : {"complete", "partial", "no"}
        Whether near-duplicates were looked for among all pairs.
    notes : list of str
        What a reader should know about the search itself.
    altered_copies : list of list of str
        Files of which one shows another mirrored, turned, shifted or cropped, as augmentation
        leaves them. They may rightly bear different labels, such as left and right.
    """

    class_counts: dict[str, int]
    exact_duplicates: list[list[str]]
    near_duplicates: list[list[str]]
    label_conflicts: list[dict[str, Any]]
    leaks: list[dict[str, Any]]
    shared_groups: list[dict[str, Any]]
    leaked: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.int64]
    searched: str = "complete"
    notes: list[str] = field(default_factory=list)
    altered_copies: list[list[str]] = field(default_factory=list)

    def to_json(self, catalog: Catalog) -> dict[str, Any]:
        """Return everything but the arrays, with what the catalog left out and why."""
        return {
            "source": catalog.source,
            "images": len(catalog),
            "class_counts": self.class_counts,
            "unreadable": [{"path": u.path, "reason": u.reason} for u in catalog.unreadable],
            "ignored": catalog.ignored,
            "exact_duplicates": self.exact_duplicates,
            "near_duplicates": self.near_duplicates,
            "altered_copies": self.altered_copies,
            "near_duplicate_search": self.searched,
            "label_conflicts": self.label_conflicts,
            "leaks": self.leaks,
            "shared_groups": self.shared_groups,
            "notes": self.notes,
        }


def audit(
    catalog: Catalog,
    thumbnails: npt.NDArray[np.uint8] | None,
    features: npt.ArrayLike | None = None,
) -> Audit:
    """Find duplicates, conflicting labels and leaks.

    Parameters
    ----------
    catalog : Catalog
        Readable rows only.
    thumbnails : ndarray of shape (n, 32, 32, 3), uint8, or None
        Of every row; None leaves near-duplicates out.
    features : array of shape (n, d) or None, default=None
        Of a network, for every row; None leaves out copies that were cropped, shifted or turned
        by some degrees.
    """
    n = len(catalog)
    if thumbnails is not None and len(thumbnails) != n:
        raise ValueError(f"{len(thumbnails)} thumbnails for {n} images")
    exact = _same(enumerate(catalog.digests))
    near: list[list[int]] = []
    altered: list[list[int]] = []
    searched, notes = "no", ["Near-duplicates were not looked for."]
    if thumbnails is not None:
        result = find_near_duplicates(thumbnails)
        near = _of_several_files(catalog, result.groups, exact)
        altered = [*map(list, result.turned)]
        if result.complete and features is not None:
            altered += _moved(exact, thumbnails, features)
        altered = [group for group in shared(joined(n, altered)) if group not in near]
        searched, notes = ("complete" if result.complete else "partial"), []
        if not result.complete:
            notes.append(
                f"With more than {COMPLETE_UP_TO:,} images, near-duplicates were looked for among "
                "likely neighbours, not among all pairs: a few may have been missed. Mirrored, "
                "turned and cropped copies were not looked for."
            )
    copies = shared(joined(n, [*exact, *near, *altered]))
    owners = _same((i, row.group) for i, row in enumerate(catalog.rows) if row.group is not None)
    leaks, leaked = _leaks(catalog, copies)
    return Audit(
        class_counts=_class_counts(catalog),
        exact_duplicates=[_names(catalog, group) for group in exact],
        near_duplicates=[_names(catalog, group) for group in near],
        altered_copies=[_names(catalog, group) for group in altered],
        label_conflicts=[*_conflicts(catalog, exact, "exact"), *_conflicts(catalog, near, "near")],
        leaks=leaks,
        shared_groups=_shared(catalog, owners),
        leaked=leaked,
        groups=joined(n, [*owners, *copies]),
        searched=searched,
        notes=notes,
    )


def _same(pairs: Iterable[tuple[int, Hashable]]) -> list[list[int]]:
    """Positions that share a key, in groups of two or more."""
    first: dict[Hashable, int] = {}
    found: dict[int, list[int]] = {}
    for position, key in pairs:
        # most keys are met once, and lists of one would take more memory than all else here
        earlier = first.setdefault(key, position)
        if earlier != position:
            found.setdefault(earlier, [earlier]).append(position)
    return [found[position] for position in sorted(found)]


def _moved(
    exact: list[list[int]], thumbnails: npt.NDArray[np.uint8], features: npt.ArrayLike
) -> list[list[int]]:
    """Groups of pictures that lie over each other once they are moved."""
    again = {member for group in exact for member in group[1:]}
    distinct = np.array([i for i in range(len(thumbnails)) if i not in again], dtype=np.int64)
    left, right, distance = moved_pairs(thumbnails[distinct], np.asarray(features)[distinct])
    groups = []
    for members in shared(joined(len(distinct), np.column_stack([left, right]).tolist())):
        if len(members) <= BACKGROUND_RANK:
            groups.append(members)
            continue
        # pictures of which each resembles the next: only those that all resemble each other
        own = np.isin(left, members)
        groups += complete_linkage(left[own], right[own], distance[own])
    return [distinct[group].tolist() for group in groups]


def _of_several_files(
    catalog: Catalog, groups: Iterable[tuple[int, ...]], exact: list[list[int]]
) -> list[list[int]]:
    """Keep groups with different contents, and complete them with exact copies."""
    copies = {member: group for group in exact for member in group}
    kept = []
    for group in groups:
        if len({catalog.digests[i] for i in group}) > 1:
            kept.append(sorted({j for i in group for j in copies.get(i, [i])}))
    return kept


def _names(catalog: Catalog, members: Iterable[int]) -> list[str]:
    return [catalog.rows[i].name for i in members]


def _class_counts(catalog: Catalog) -> dict[str, int]:
    counts = np.bincount(catalog.labels, minlength=len(catalog.classes))
    return {name: int(count) for name, count in zip(catalog.classes, counts, strict=True)}


def _conflicts(catalog: Catalog, groups: Iterable[list[int]], kind: str) -> list[dict[str, Any]]:
    found = []
    for members in groups:
        labels = [catalog.classes[catalog.rows[i].label] for i in members]
        if len(set(labels)) > 1:
            found.append({"paths": _names(catalog, members), "labels": labels, "kind": kind})
    return found


def _leaks(
    catalog: Catalog, copies: Iterable[list[int]]
) -> tuple[list[dict[str, Any]], npt.NDArray[np.bool_]]:
    leaked = np.zeros(len(catalog), dtype=bool)
    leaks = []
    for members in copies:
        parts = [catalog.rows[i].part for i in members]
        if len(set(parts)) < 2:
            continue
        leaks.append({"paths": _names(catalog, members), "parts": parts})
        for member, part in zip(members, parts, strict=True):
            leaked[member] = part == "test"
    return leaks, leaked


def _shared(catalog: Catalog, owners: Iterable[list[int]]) -> list[dict[str, Any]]:
    shared = []
    for members in owners:
        parts = {catalog.rows[i].part for i in members}
        if len(parts) > 1:
            shared.append(
                {
                    "group": catalog.rows[members[0]].group,
                    "parts": [part for part in ("train", "val", "test") if part in parts],
                    "images": len(members),
                }
            )
    return shared
