"""Which images succeed and fail together: those of one group of either run, and copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from frostline.core.arrays import IntArray


def joined(digests: Sequence[str], belonging: Iterable[Sequence[str]]) -> IntArray:
    """Return numbers of groups from 0, shape (n,).

    Images of one content are one group, and so are those that any entry of ``belonging`` names
    together, also by way of images that are not among these.
    """
    leader: dict[str, str] = {}

    def find(digest: str) -> str:
        root = digest
        while (above := leader.setdefault(root, root)) != root:
            root = above
        while leader[digest] != root:
            leader[digest], digest = root, leader[digest]
        return root

    for together in belonging:
        for other in together[1:]:
            leader[find(other)] = find(together[0])
    roots = [find(digest) for digest in digests]
    return np.unique(roots, return_inverse=True)[1].astype(np.int64).reshape(len(digests))


def copies_among(digests: Sequence[str], copies: Iterable[Sequence[str]]) -> dict[str, set[str]]:
    """Return what each image shows the same as, by digest; without itself."""
    wanted = set(digests)
    found: dict[str, set[str]] = {}
    for together in copies:
        for digest in wanted.intersection(together):
            found.setdefault(digest, set()).update(set(together) - {digest})
    return found
