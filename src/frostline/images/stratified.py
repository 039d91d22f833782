"""Stratified, group-aware drawing of test images that depends on seed and content only."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.errors import InputError

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that stay together: their majority label, and a rank drawn from seed and content."""

    members: tuple[int, ...]
    label: int
    rank: bytes


def stratified_holdout(
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    digests: Sequence[str],
    *,
    fraction: float,
    seed: int,
) -> tuple[IntArray, IntArray]:
    """Hold out a share of every class, in whole groups.

    In each class the groups are ranked by a hash of the seed and their smallest digest; from the
    first on, groups are held out as long as each brings the class closer to its share. At least
    one group stays; at least one is held out if the class has two. A group of several labels
    counts for its most frequent one.

    Parameters
    ----------
    labels, groups : array_like of shape (n,), int
    digests : sequence of n str
        Content digests of the rows.
    fraction : float in (0, 1)
    seed : int

    Returns
    -------
    rest, held : int64 ndarrays
        Ascending positions; ``held`` is empty if every class is a single group.
    """
    label, gathered = _gather(labels, groups, digests, seed, "held-out")
    held: list[_Group] = []
    for _, own in sorted(_by_class(gathered).items()):
        held.extend(_share_of(own, fraction))
    held = _return_what_is_needed(label, held)
    taken = np.zeros(len(label), dtype=bool)
    for group in held:
        taken[list(group.members)] = True
    return np.flatnonzero(~taken).astype(np.int64), np.flatnonzero(taken).astype(np.int64)


def stratified_folds(
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    digests: Sequence[str],
    *,
    n_folds: int,
    seed: int,
) -> list[tuple[IntArray, IntArray]]:
    """Divide rows into folds for cross-validation; each row is tested exactly once.

    Groups stay whole, classes are spread evenly, and a class that has at least two groups is in
    every training part.

    Parameters
    ----------
    labels, groups, digests, seed
        As for :func:`stratified_holdout`.
    n_folds : int, at least 2

    Returns
    -------
    list of (train, test)
        Ascending positions; fewer than ``n_folds`` if there are fewer groups.

    Raises
    ------
    InputError
        If all rows form one group.
    """
    if n_folds < 2:
        raise ValueError(f"n_folds must be at least 2, not {n_folds}")
    label, gathered = _gather(labels, groups, digests, seed, "folds")
    if len(gathered) < 2:
        raise InputError("All images form one group, so there are no folds to cross-validate.")
    folds = _deal(gathered, min(n_folds, len(gathered)))
    folds = _spread_classes(label, folds)
    result = []
    for fold in folds:
        test = np.zeros(len(label), dtype=bool)
        test[[i for group in fold for i in group.members]] = True
        if test.any():
            result.append(
                (np.flatnonzero(~test).astype(np.int64), np.flatnonzero(test).astype(np.int64))
            )
    return result


def _gather(
    labels: npt.ArrayLike, groups: npt.ArrayLike, digests: Sequence[str], seed: int, purpose: str
) -> tuple[IntArray, list[_Group]]:
    """Collect the groups in an order that depends on their content only."""
    label = np.asarray(labels, dtype=np.int64)
    members: dict[int, list[int]] = {}
    for position, group in enumerate(np.asarray(groups, dtype=np.int64).tolist()):
        members.setdefault(group, []).append(position)
    if not len(label) == len(digests) == sum(map(len, members.values())):
        raise ValueError("labels, groups and digests differ in length")
    gathered = []
    for own in members.values():
        counts = Counter(label[own].tolist())
        majority = min(counts, key=lambda name: (-counts[name], name))
        key = f"{purpose}:{seed}:{min(digests[i] for i in own)}"
        rank = hashlib.blake2b(key.encode(), digest_size=16).digest()
        gathered.append(_Group(tuple(own), majority, rank))
    return label, sorted(gathered, key=lambda group: (group.rank, group.label, group.members))


def _by_class(gathered: Sequence[_Group]) -> dict[int, list[_Group]]:
    classes: dict[int, list[_Group]] = {}
    for group in gathered:
        classes.setdefault(group.label, []).append(group)
    return classes


def _share_of(own: list[_Group], fraction: float) -> list[_Group]:
    """Pick groups of one class, in rank order, whose rows come close to ``fraction`` of it."""
    if len(own) < 2:
        return []
    target = max(1.0, fraction * sum(len(group.members) for group in own))
    picked: list[_Group] = []
    count = 0
    for group in own:
        size = len(group.members)
        if len(picked) + 1 < len(own) and abs(count + size - target) < abs(count - target):
            picked.append(group)
            count += size
    if not picked:
        # every group overshoots; the smallest does so least
        picked = [min(own, key=lambda group: (len(group.members), group.rank))]
    return picked


def _return_what_is_needed(label: IntArray, held: list[_Group]) -> list[_Group]:
    """Give groups back until every class has a row to learn from.

    Only groups of mixed labels can hold all rows of a class that is not their majority.
    """
    total = Counter(label.tolist())
    inside = Counter(int(label[i]) for group in held for i in group.members)
    kept = list(held)
    for name in sorted(total):
        if inside[name] < total[name]:
            continue
        holders = [g for g in kept if any(label[i] == name for i in g.members)]
        back = min(holders, key=lambda group: (len(group.members), group.rank))
        kept.remove(back)
        inside.subtract(int(label[i]) for i in back.members)
    return kept


def _deal(gathered: Sequence[_Group], n_folds: int) -> list[list[_Group]]:
    """Deal groups, largest first, to the fold that has least of their class, then least at all."""
    folds: list[list[_Group]] = [[] for _ in range(n_folds)]
    totals = [0] * n_folds
    for _, own in sorted(_by_class(gathered).items()):
        of_class = [0] * n_folds
        for group in sorted(own, key=lambda g: (-len(g.members), g.rank)):
            fold = min(range(n_folds), key=lambda f: (of_class[f], totals[f], f))
            folds[fold].append(group)
            of_class[fold] += len(group.members)
            totals[fold] += len(group.members)
    return folds


def _spread_classes(label: IntArray, folds: list[list[_Group]]) -> list[list[_Group]]:
    """Move a group where a class, present in mixed groups only, sits in one fold entirely."""

    def homes(name: int) -> list[int]:
        return [
            f
            for f, fold in enumerate(folds)
            if any(label[i] == name for group in fold for i in group.members)
        ]

    names = sorted(set(label.tolist()))
    mixed = any(len(set(label[list(g.members)].tolist())) > 1 for fold in folds for g in fold)
    if not mixed:
        return folds
    for name in names:
        at = homes(name)
        if len(at) != 1:
            continue
        own = [g for g in folds[at[0]] if any(label[i] == name for i in g.members)]
        if len(own) < 2:
            continue
        alone_before = sum(len(homes(other)) == 1 for other in names)
        for group in sorted(own, key=lambda g: (len(g.members), g.rank)):
            sizes = [sum(len(g.members) for g in fold) for fold in folds]
            target = min((f for f in range(len(folds)) if f != at[0]), key=lambda f: (sizes[f], f))
            folds[at[0]].remove(group)
            folds[target].append(group)
            if sum(len(homes(other)) == 1 for other in names) < alone_before:
                break
            folds[target].remove(group)
            folds[at[0]].append(group)
    return folds


def separable(labels: npt.ArrayLike, groups: npt.ArrayLike, digests: Sequence[str]) -> bool:
    """Whether any class consists of more than one group."""
    _, gathered = _gather(labels, groups, digests, 0, "check")
    return any(len(own) > 1 for own in _by_class(gathered).values())
