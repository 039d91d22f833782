"""Look at the images before anything learns from them: copies, contradictions, leaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from frostline.core.arrays import BoolArray, IntArray
from frostline.core.audit_record import (
    AuditRecord,
    LabelConflict,
    Leak,
    Paths,
    SharedGroup,
    UnreadableImage,
)
from frostline.core.truncated import Truncated
from frostline.data.catalog import Catalog
from frostline.data.decoding.value_ranges import SetValues
from frostline.data.duplicates.copies import Copies, Groups, group_by_key
from frostline.data.duplicates.grouping import duplicated_groups, union_find
from frostline.data.understood import source_read
from frostline.data.unseen import Unseen

#: whether near-duplicates were looked for among all pairs
Searched = Literal["complete", "partial", "no"]


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
    altered_copies : list of list of str
        Files of which one shows another mirrored, turned, shifted or cropped, as augmentation
        leaves them. They may rightly bear different labels, such as left and right.
    values : SetValues
        How values that are not plain 8 bits are read.
    unseen : Unseen or None
        What of the pictures never reaches the model; None where nobody measured.
    """

    class_counts: dict[str, int]
    exact_duplicates: list[list[str]]
    near_duplicates: list[list[str]]
    label_conflicts: list[dict[str, Any]]
    leaks: list[dict[str, Any]]
    shared_groups: list[dict[str, Any]]
    leaked: BoolArray
    groups: IntArray
    searched: Searched = "complete"
    altered_copies: list[list[str]] = field(default_factory=list)
    values: SetValues = field(default_factory=SetValues)
    unseen: Unseen | None = None

    def record(self, catalog: Catalog) -> AuditRecord:
        """Return everything but the arrays, with what the catalog left out and why; no notes."""
        unreadable = [UnreadableImage(path=u.path, reason=u.reason) for u in catalog.unreadable]
        return AuditRecord(
            source=catalog.source,
            images=len(catalog),
            class_counts=self.class_counts,
            unreadable=Truncated.of(unreadable),
            ignored=catalog.ignored,
            understood=source_read(catalog),
            exact_duplicates=_paths(self.exact_duplicates),
            near_duplicates=_paths(self.near_duplicates),
            altered_copies=_paths(self.altered_copies),
            near_duplicate_search=self.searched,
            label_conflicts=Truncated.of(map(LabelConflict.model_validate, self.label_conflicts)),
            leaks=Truncated.of(map(Leak.model_validate, self.leaks)),
            shared_groups=Truncated.of(map(SharedGroup.model_validate, self.shared_groups)),
            values=self.values.to_json(),
            unseen=None if self.unseen is None else self.unseen.to_json(),
        )


def audit(catalog: Catalog, copies: Copies | None, *, values: SetValues | None = None) -> Audit:
    """Say what copies mean: conflicting labels, leaks, images that must stay together.

    ``catalog``: readable rows only. ``copies``: what
    :func:`frostline.data.duplicates.copies.find_copies` found among its rows; None where nobody
    looked. ``values``: what was measured of their values; None where nobody did.
    """
    n = len(catalog)
    exact = group_by_key(enumerate(catalog.digests))
    near: Groups = []
    altered: Groups = []
    searched: Searched = "no"
    if copies is not None:
        near, altered = copies.near, copies.altered
        searched = "complete" if copies.complete else "partial"
    together = duplicated_groups(union_find(n, [*exact, *near, *altered]))
    owners = group_by_key(
        (i, row.group) for i, row in enumerate(catalog.rows) if row.group is not None
    )
    leaks, leaked = _leaks(catalog, together)
    return Audit(
        class_counts=_class_counts(catalog),
        exact_duplicates=[_names(catalog, group) for group in exact],
        near_duplicates=[_names(catalog, group) for group in near],
        altered_copies=[_names(catalog, group) for group in altered],
        label_conflicts=[*_conflicts(catalog, exact, "exact"), *_conflicts(catalog, near, "near")],
        leaks=leaks,
        shared_groups=_shared(catalog, owners),
        leaked=leaked,
        groups=union_find(n, [*owners, *together]),
        searched=searched,
        values=values or SetValues(),
    )


def with_unseen(found: Audit, unseen: Unseen) -> Audit:
    """Return an audit that also tells what never reaches the model."""
    return replace(found, unseen=unseen)


def _paths(groups: Iterable[Iterable[str]]) -> Truncated[Paths]:
    return Truncated.of(map(Truncated.of, groups))


def _names(catalog: Catalog, members: Iterable[int]) -> list[str]:
    return [catalog.rows[i].name for i in members]


def _class_counts(catalog: Catalog) -> dict[str, int]:
    counts = catalog.target.counts(catalog.truth)
    return {name: int(count) for name, count in zip(catalog.classes, counts, strict=True)}


def _conflicts(catalog: Catalog, groups: Iterable[list[int]], kind: str) -> list[dict[str, Any]]:
    copies = list(groups)
    contradicting = catalog.target.contradicting(catalog.truth, copies)
    return [
        {
            "paths": _names(catalog, members),
            "labels": catalog.in_words(members),
            "kind": kind,
        }
        for members, wrong in zip(copies, contradicting, strict=True)
        if wrong
    ]


def _leaks(catalog: Catalog, copies: Iterable[list[int]]) -> tuple[list[dict[str, Any]], BoolArray]:
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
