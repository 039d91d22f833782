"""Find pictures that are there more than once: near-duplicates and altered copies."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from frostline.core.threads import meanwhile
from frostline.data.duplicates.grouping import complete_linkage, duplicated_groups, union_find
from frostline.data.duplicates.near_duplicates import COMPLETE_UP_TO, find_near_duplicates
from frostline.data.duplicates.shifted_copies import BACKGROUND_RANK, moved_pairs

Groups = list[list[int]]


@dataclass(frozen=True)
class Copies:
    """Groups of positions, each of two or more.

    ``near``: the same picture in other bytes (re-encoded, resized, brightened), with exact copies
    of it. ``altered``: one shows another mirrored, turned, shifted or cropped; no group is one of
    ``near``. ``complete``: whether all pairs were compared.
    """

    near: Groups
    altered: Groups
    complete: bool


def find_copies(
    digests: Sequence[str],
    thumbnails: npt.NDArray[np.uint8],
    features: npt.ArrayLike | None = None,
    *,
    threads: int = 1,
) -> Copies:
    """Find near-duplicates and altered copies.

    Parameters
    ----------
    digests : sequence of str
        Of every file's content; files with the same one are exact copies, and counted as known.
    thumbnails : ndarray of shape (n, 32, 32, 3), uint8
    features : array of shape (n, d) or None, default=None
        Of a network, for every image; None leaves out copies that were cropped, shifted or turned
        by some degrees, and so does a set of more than 10,000 images.
    threads : int, default=1
        How many of the searches run at a time.
    """
    n = len(digests)
    if len(thumbnails) != n:
        raise ValueError(f"{len(thumbnails)} thumbnails for {n} images")
    exact = group_by_key(enumerate(digests))
    look_moved: Callable[[], Groups] = list
    # beyond it not all pairs are compared, and then moved copies are not looked for
    if features is not None and n <= COMPLETE_UP_TO:
        look_moved = partial(_moved, exact, thumbnails, features)
    with meanwhile(look_moved, threads=threads) as moved:
        result = find_near_duplicates(thumbnails)
        altered = [*map(list, result.turned), *moved()]
    near = _of_several_files(digests, result.groups, exact)
    altered = [group for group in duplicated_groups(union_find(n, altered)) if group not in near]
    return Copies(near, altered, result.complete)


def group_by_key(pairs: Iterable[tuple[int, Hashable]]) -> Groups:
    """Positions that share a key, in groups of two or more."""
    first: dict[Hashable, int] = {}
    found: dict[int, list[int]] = {}
    for position, key in pairs:
        # most keys are met once, and lists of one would take more memory than all else here
        earlier = first.setdefault(key, position)
        if earlier != position:
            found.setdefault(earlier, [earlier]).append(position)
    return [found[position] for position in sorted(found)]


def _moved(exact: Groups, thumbnails: npt.NDArray[np.uint8], features: npt.ArrayLike) -> Groups:
    """Groups of pictures that lie over each other once they are moved."""
    again = {member for group in exact for member in group[1:]}
    distinct = np.array([i for i in range(len(thumbnails)) if i not in again], dtype=np.int64)
    left, right, distance = moved_pairs(thumbnails[distinct], np.asarray(features)[distinct])
    groups = []
    for members in duplicated_groups(
        union_find(len(distinct), np.column_stack([left, right]).tolist())
    ):
        if len(members) <= BACKGROUND_RANK:
            groups.append(members)
            continue
        # pictures of which each resembles the next: only those that all resemble each other
        own = np.isin(left, members)
        groups += complete_linkage(left[own], right[own], distance[own])
    return [distinct[group].tolist() for group in groups]


def _of_several_files(
    digests: Sequence[str], groups: Iterable[tuple[int, ...]], exact: Groups
) -> Groups:
    """Keep groups with different contents, and complete them with exact copies."""
    copies = {member: group for group in exact for member in group}
    kept = []
    for group in groups:
        if len({digests[i] for i in group}) > 1:
            kept.append(sorted({j for i in group for j in copies.get(i, [i])}))
    return kept
