"""Stratified, group-aware splits of images with several labels, by seed and content only.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011): the label with the fewest images
left to place decides about them first, since it is the one that could not be evened out later.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray


@dataclass(frozen=True)
class LabelledGroup:
    """Images that stay together.

    ``n``: how many. ``labels``: how many of them have each label; labels that none has are absent.
    Groups are given in an order that depends on seed and content only.
    """

    n: int
    labels: Counter[int]


def marked(truth: npt.ArrayLike) -> BoolArray:
    """Return which images count for which label, shape (n, C).

    Those that have it, or those that lack it where these are fewer: the rarer answer is the one
    that a part may come to lack. Where nobody knows, an image counts for neither.

    ``truth``, shape (n, C): above 0 for a label that an image has, 0 for one that it lacks, NaN
    where that is not known.
    """
    values = np.asarray(truth, dtype=np.float64)
    has, lacks = values > 0, values == 0
    found: BoolArray = np.where(has.sum(axis=0) <= lacks.sum(axis=0), has, lacks)
    return found


def hold_out(groups: Sequence[LabelledGroup], fraction: float) -> list[int]:
    """Return which groups to hold out, so that every label has about its share of images there.

    From the first group of a label on, each is held out if it brings the label closer to its share,
    and the smallest if none does. No label loses all its groups, nor does the whole.
    """
    held = _Held(groups)
    for label, waiting in _rarest_first(groups):
        size = _size_in(groups, label)
        target = fraction * held.of_all(label)
        for number in waiting:
            now = held.of(label)
            if abs(now + size(number) - target) < abs(now - target):
                held.take(number)
        for number in sorted(waiting, key=lambda n: (size(n), n)):
            if not held.of(label):
                held.take(number)
    return sorted(held.numbers)


class _Held:
    """The groups that are held out so far."""

    def __init__(self, groups: Sequence[LabelledGroup]) -> None:
        self.numbers: list[int] = []
        self._groups = groups
        self._totals, self._inside = _totals(groups), Counter[int]()
        self._n_total, self._n = sum(group.n for group in groups), 0

    def of_all(self, label: int | None) -> int:
        """Number of all images with a label; of all images for None."""
        return self._n_total if label is None else self._totals[label]

    def of(self, label: int | None) -> int:
        """Number of images with a label that are held out."""
        return self._n if label is None else self._inside[label]

    def take(self, number: int) -> None:
        """Hold out a group, unless that leaves nothing, or nothing of a label, to learn from."""
        own = self._groups[number].labels
        last = len(self.numbers) + 1 == len(self._groups)
        if last or any(self._inside[name] + k >= self._totals[name] for name, k in own.items()):
            return
        self.numbers.append(number)
        self._inside.update(own)
        self._n += self._groups[number].n


def deal(groups: Sequence[LabelledGroup], n_folds: int) -> list[int]:
    """Return the fold of every group, so that every label is spread evenly.

    Each group goes to the fold that has least of the label which decides, then least of all; the
    largest groups first. A label of two groups or more is never in one fold only.
    """
    inside = [Counter[int]() for _ in range(n_folds)]
    sizes = [0] * n_folds
    fold = [-1] * len(groups)
    for label, waiting in _rarest_first(groups):
        size = _size_in(groups, label)
        for number in sorted(waiting, key=lambda n: (-size(n), n)):
            best = min(
                range(n_folds),
                key=lambda f: (0 if label is None else inside[f][label], sizes[f], f),
            )
            fold[number] = best
            inside[best].update(groups[number].labels)
            sizes[best] += groups[number].n
    _never_alone(groups, fold, inside, sizes)
    return fold


def _size_in(groups: Sequence[LabelledGroup], label: int | None) -> Callable[[int], int]:
    return lambda n: groups[n].n if label is None else groups[n].labels[label]


def _rarest_first(groups: Sequence[LabelledGroup]) -> Iterator[tuple[int | None, list[int]]]:
    """Yield the label with the fewest images left to place and its groups, at last those of none.

    Every group comes once.
    """
    homes = _homes(groups)
    left = _totals(groups)
    heap = [(count, label) for label, count in left.items()]
    heapq.heapify(heap)
    done = [False] * len(groups)
    while heap:
        count, label = heapq.heappop(heap)
        if count != left[label] or not count:
            # an older count of a label that has fewer by now
            continue
        waiting = [number for number in homes[label] if not done[number]]
        for number in waiting:
            done[number] = True
            for other, size in groups[number].labels.items():
                left[other] -= size
                heapq.heappush(heap, (left[other], other))
        yield label, waiting
    yield None, [number for number, was in enumerate(done) if not was]


def _never_alone(
    groups: Sequence[LabelledGroup], fold: list[int], inside: list[Counter[int]], sizes: list[int]
) -> None:
    """Move a group of every label that is in one fold only, unless that leaves another alone."""
    homes = _homes(groups)

    def n_folds_of(label: int) -> int:
        return sum(counts[label] > 0 for counts in inside)

    def move(number: int, to: int) -> None:
        group, at = groups[number], fold[number]
        inside[at].subtract(group.labels)
        inside[to].update(group.labels)
        sizes[at] -= group.n
        sizes[to] += group.n
        fold[number] = to

    for label in sorted(homes):
        if len(homes[label]) < 2 or n_folds_of(label) > 1:
            continue
        home = fold[homes[label][0]]
        to = min((f for f in range(len(sizes)) if f != home), key=sizes.__getitem__)
        for number in sorted(homes[label], key=lambda n: (groups[n].n, n)):
            own = groups[number].labels
            alone = sum(n_folds_of(name) == 1 for name in own)
            move(number, to)
            if sum(n_folds_of(name) == 1 for name in own) < alone:
                break
            move(number, home)


def _homes(groups: Sequence[LabelledGroup]) -> dict[int, list[int]]:
    """Return the numbers of the groups that have each label."""
    homes: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        for label in group.labels:
            homes.setdefault(label, []).append(number)
    return homes


def _totals(groups: Sequence[LabelledGroup]) -> Counter[int]:
    totals: Counter[int] = Counter()
    for group in groups:
        totals.update(group.labels)
    return totals
