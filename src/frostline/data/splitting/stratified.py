"""Stratified, group-aware drawing of test images that depends on seed and content only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.core.errors import InputError
from frostline.core.rng import keyed_bytes
from frostline.data.splitting.label_sets import LabelledGroup, deal, hold_out, marked


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
    labels : array_like of shape (n,), int, or of shape (n, C)
        With a column for each label, of 1, 0 and NaN for unknown, the rarest label decides first
        (:mod:`frostline.data.splitting.label_sets`).
    groups : array_like of shape (n,), int
    digests : sequence of n str
        Content digests of the rows.
    fraction : float in (0, 1)

    Returns
    -------
    rest, held : int64 ndarrays
        Ascending positions; ``held`` is empty if every class is a single group.
    """
    if np.ndim(labels) == 2:
        sets = _gather_sets(labels, groups, digests, seed, "held-out")
        chosen = hold_out([own for _, own in sets], fraction)
        return _parted(len(digests), [sets[number][0] for number in chosen])
    label, gathered = _gather(labels, groups, digests, seed, "held-out")
    held: list[_Group] = []
    for _, own in sorted(_by_class(gathered).items()):
        held.extend(_share_of(own, fraction))
    held = _return_what_is_needed(label, held)
    return _parted(len(label), [group.members for group in held])


def stratified_folds(
    labels: npt.ArrayLike, groups: npt.ArrayLike, digests: Sequence[str], *, n_folds: int, seed: int
) -> list[tuple[IntArray, IntArray]]:
    """Divide rows into folds for cross-validation; each row is tested exactly once.

    Groups stay whole, classes are spread evenly, and a class that has at least two groups is in
    every training part. Raises InputError if all rows form one group.

    ``labels``, ``groups``, ``digests`` and ``seed``: as for :func:`stratified_holdout`. The
    result: ascending positions; fewer than ``n_folds`` if there are fewer groups.
    """
    if n_folds < 2:
        raise ValueError(f"n_folds must be at least 2, not {n_folds}")
    one_group = InputError("All images form one group, so there are no folds to cross-validate.")
    if np.ndim(labels) == 2:
        sets = _gather_sets(labels, groups, digests, seed, "folds")
        if len(sets) < 2:
            raise one_group
        numbers = deal([own for _, own in sets], min(n_folds, len(sets)))
        parts: list[list[Sequence[int]]] = [[] for _ in range(max(numbers) + 1)]
        for (members, _), number in zip(sets, numbers, strict=True):
            parts[number].append(members)
    else:
        label, gathered = _gather(labels, groups, digests, seed, "folds")
        if len(gathered) < 2:
            raise one_group
        folds = _deal(gathered, min(n_folds, len(gathered)))
        folds = _spread_classes(label, folds)
        parts = [[group.members for group in fold] for fold in folds]
    return [_parted(len(digests), members) for members in parts if members]


def _parted(n: int, taken: Sequence[Sequence[int]]) -> tuple[IntArray, IntArray]:
    """Return which of ``n`` rows are in none of some groups, and which are, ascending."""
    inside = np.zeros(n, dtype=bool)
    inside[[i for members in taken for i in members]] = True
    return np.flatnonzero(~inside).astype(np.int64), np.flatnonzero(inside).astype(np.int64)


def _gather(
    labels: npt.ArrayLike, groups: npt.ArrayLike, digests: Sequence[str], seed: int, purpose: str
) -> tuple[IntArray, list[_Group]]:
    """Collect the groups in an order that depends on their content only."""
    label = np.asarray(labels, dtype=np.int64)
    members = _members(len(label), groups, digests)
    of_row = label.tolist()
    gathered = []
    for own in members.values():
        # most groups are a single row
        alone = len(own) == 1
        majority = of_row[own[0]] if alone else _majority([of_row[i] for i in own])
        smallest = digests[own[0]] if alone else min(digests[i] for i in own)
        rank = keyed_bytes(purpose, seed, smallest)
        gathered.append(_Group(tuple(own), majority, rank))
    return label, sorted(gathered, key=lambda group: (group.rank, group.label, group.members))


def _gather_sets(
    labels: npt.ArrayLike, groups: npt.ArrayLike, digests: Sequence[str], seed: int, purpose: str
) -> list[tuple[Sequence[int], LabelledGroup]]:
    """Return rows that stay together and what they are labelled, in an order of the same kind."""
    has = marked(labels)
    gathered = []
    for own in _members(len(has), groups, digests).values():
        smallest = min(digests[i] for i in own)
        found = Counter(np.nonzero(has[own])[1].tolist())
        gathered.append((keyed_bytes(purpose, seed, smallest), own, LabelledGroup(len(own), found)))
    return [(own, group) for _, own, group in sorted(gathered, key=lambda one: one[:2])]


def _members(n: int, groups: npt.ArrayLike, digests: Sequence[str]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for position, group in enumerate(np.asarray(groups, dtype=np.int64).tolist()):
        members.setdefault(group, []).append(position)
    if not n == len(digests) == sum(map(len, members.values())):
        raise ValueError("labels, groups and digests differ in length")
    return members


def _majority(labels: Sequence[int]) -> int:
    """Return the most frequent label, the smallest of equals."""
    counts = Counter(labels)
    return min(counts, key=lambda name: (-counts[name], name))


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
    of_row = label.tolist()
    total = Counter(of_row)
    inside = Counter(of_row[i] for group in held for i in group.members)
    holders: dict[int, list[int]] = {name: [] for name in total if inside[name] == total[name]}
    if not holders:
        return held
    for number, group in enumerate(held):
        for name in {of_row[i] for i in group.members} & holders.keys():
            holders[name].append(number)
    back: set[int] = set()
    for name in sorted(holders):
        if inside[name] < total[name]:
            continue
        # a class that is whole has lost no group yet
        number = min(holders[name], key=lambda n: (len(held[n].members), held[n].rank))
        back.add(number)
        inside.subtract(of_row[i] for i in held[number].members)
    return [group for number, group in enumerate(held) if number not in back]


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
    of_row = label.tolist()
    groups = [group for fold in folds for group in fold]
    if all(of_row[i] == group.label for group in groups for i in group.members):
        return folds
    names = [{of_row[i] for i in group.members} for group in groups]
    places = _Places(groups, names, folds)
    of_class: dict[int, list[int]] = {}
    for number, own in enumerate(names):
        for name in own:
            of_class.setdefault(name, []).append(number)
    for name in sorted(of_class):
        holders = of_class[name]
        if len(holders) < 2 or places.homes(name) != 1:
            continue
        alone = places.alone
        for number in sorted(holders, key=lambda n: (len(groups[n].members), groups[n].rank)):
            home = places.fold[number]
            places.move(number, places.emptiest(but=home))
            if places.alone < alone:
                break
            places.move(number, home)
    moved: list[list[_Group]] = [[] for _ in folds]
    for group, fold in zip(groups, places.fold, strict=True):
        moved[fold].append(group)
    return moved


class _Places:
    """Which group is in which fold, and how many classes have but one: kept up to date."""

    def __init__(
        self, groups: Sequence[_Group], names: Sequence[set[int]], folds: Sequence[list[_Group]]
    ) -> None:
        self._groups, self._names = groups, names
        self.fold = [number for number, fold in enumerate(folds) for _ in fold]
        self._sizes = [sum(len(group.members) for group in fold) for fold in folds]
        self._counts: dict[int, Counter[int]] = {}
        for own, fold in zip(names, self.fold, strict=True):
            for name in own:
                self._counts.setdefault(name, Counter())[fold] += 1
        self.alone = sum(len(counts) == 1 for counts in self._counts.values())

    def homes(self, name: int) -> int:
        """Number of folds that have a row of a class."""
        return len(self._counts[name])

    def emptiest(self, *, but: int) -> int:
        """Return the fold with the fewest rows, other than one."""
        return min((f for f in range(len(self._sizes)) if f != but), key=self._sizes.__getitem__)

    def move(self, number: int, target: int) -> None:
        """Put a group into another fold."""
        source, size = self.fold[number], len(self._groups[number].members)
        self.fold[number] = target
        self._sizes[source] -= size
        self._sizes[target] += size
        for name in self._names[number]:
            counts = self._counts[name]
            self.alone -= len(counts) == 1
            counts[target] += 1
            counts[source] -= 1
            if not counts[source]:
                del counts[source]
            self.alone += len(counts) == 1


def separable(labels: npt.ArrayLike, groups: npt.ArrayLike) -> bool:
    """Whether any class consists of more than one group.

    Of several labels, shape (n, C): whether the images of any label are in more than one, and so
    are those without it.
    """
    if np.ndim(labels) == 2:
        values, codes = np.asarray(labels, dtype=np.float64), np.asarray(groups)
        return any(
            len(np.unique(codes[column > 0])) > 1 and len(np.unique(codes[column == 0])) > 1
            for column in values.T
        )
    members: dict[int, list[int]] = {}
    for label, group in zip(
        np.asarray(labels, dtype=np.int64).tolist(),
        np.asarray(groups, dtype=np.int64).tolist(),
        strict=True,
    ):
        members.setdefault(group, []).append(label)
    seen: set[int] = set()
    for own in members.values():
        majority = own[0] if len(own) == 1 else _majority(own)
        if majority in seen:
            return True
        seen.add(majority)
    return False
