"""Which labels come together, and which sets of labels are mistaken how."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: pairs and kinds of mistakes that are kept
MOST = 40
#: images that labels must have in common, or would have by chance, to be told
_LEAST = 5.0


@dataclass(frozen=True)
class Pair:
    """Two labels: how many images have both, and how many would if they were independent."""

    first: int
    second: int
    images: int
    expected: float

    @property
    def lift(self) -> float:
        """How many times as often as by chance they come together."""
        return self.images / self.expected


@dataclass(frozen=True)
class SetMistake:
    """One kind of mistake: labels that were missed and labels that were added, and how often."""

    missed: tuple[int, ...]
    added: tuple[int, ...]
    images: int


def label_pairs(truth: npt.ArrayLike, *, most: int = MOST) -> list[Pair]:
    """Return the pairs of labels that come together furthest from what chance would bring.

    By the number of images that are too many or too few, in standard deviations of a Poisson law.
    Pairs of which fewer than five images are there and would be by chance are not told.

    ``truth``, shape (n, C): 1, 0, and NaN where it is not known; only images of which both labels
    are known count.
    """
    values = np.asarray(truth, dtype=np.float64)
    has, known = (values == 1.0).astype(np.float32), (~np.isnan(values)).astype(np.float32)
    # a label of fewer images is in no pair that is told, so thousands of rare ones cost nothing
    kept = np.flatnonzero(has.sum(axis=0) >= _LEAST)
    has, known = has[:, kept], known[:, kept]
    both, seen = has.T @ has, known.T @ known
    first = has.T @ known
    expected = first * first.T / np.maximum(seen, 1.0)
    upper = np.triu(np.maximum(both, expected) >= _LEAST, k=1)
    apart = np.abs(both - expected) / np.sqrt(np.maximum(expected, 1.0))
    i, j = np.nonzero(upper & (expected > 0))
    order = np.argsort(-apart[i, j], kind="stable")[:most]
    return [
        Pair(int(kept[i[k]]), int(kept[j[k]]), int(both[i[k], j[k]]), float(expected[i[k], j[k]]))
        for k in order
    ]


def set_mistakes(
    decided: npt.ArrayLike, truth: npt.ArrayLike, *, most: int = MOST
) -> list[SetMistake]:
    """Return the most frequent ways in which sets of labels are mistaken.

    ``decided``, ``truth``: shape (n, C), 1 and 0; ``truth`` is NaN where it is not known, which is
    no mistake.
    """
    said, own = np.asarray(decided) > 0.5, np.asarray(truth, dtype=np.float64)
    missed, added = ~said & (own == 1.0), said & (own == 0.0)
    counts = Counter(
        (tuple(np.flatnonzero(m).tolist()), tuple(np.flatnonzero(a).tolist()))
        for m, a in zip(missed, added, strict=True)
        if m.any() or a.any()
    )
    ranked = sorted(counts.items(), key=lambda one: (-one[1], len(one[0][0] + one[0][1]), one[0]))
    return [SetMistake(m, a, n) for (m, a), n in ranked[:most]]
