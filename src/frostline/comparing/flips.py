"""Images that one model gets right and the other wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.comparing.judged import Judged
from frostline.core.arrays import Truth
from frostline.core.comparison_record import Flip, Which


@dataclass(frozen=True)
class Flips:
    """Flipped images with their rows, the surest mistakes first; and how many are not flipped."""

    found: tuple[Flip, ...]
    rows: tuple[int, ...]
    both_right: int
    both_wrong: int


def flips_of(judged: Judged) -> Flips:
    """Return every image that one model alone gets right.

    Numbers count as right within half a standard deviation of the truth.
    """
    target, truth = judged.target, judged.truth
    right_a, right_b = (target.agrees(one.decided, truth) for one in (judged.a, judged.b))
    rows = np.flatnonzero(right_a != right_b).tolist()
    said = [target.said(part[rows], judged.outputs) for part in _encoded(judged)]
    found = []
    for row, true, a, b in zip(rows, *said, strict=True):
        right: Which = "a" if right_a[row] else "b"
        found.append(
            Flip(
                path=judged.names[row],
                digest=judged.digests[row],
                right=right,
                truth=true,
                a=a,
                b=b,
                a_confidence=judged.sure_a[row],
                b_confidence=judged.sure_b[row],
            )
        )
    gained = [target.image_contributions(one, truth).each[rows] for one in (judged.a, judged.b)]
    gap = np.abs(gained[0] - gained[1])
    # numbers tell nobody how sure they are: then those that are further off come first
    order = sorted(range(len(found)), key=lambda i: (-_sure(found[i]), -gap[i], found[i].path))
    return Flips(
        tuple(found[i] for i in order),
        tuple(rows[i] for i in order),
        int((right_a & right_b).sum()),
        int((~right_a & ~right_b).sum()),
    )


def _encoded(judged: Judged) -> tuple[Truth, ...]:
    return judged.truth, judged.a.decided, judged.b.decided


def _sure(flip: Flip) -> float:
    """Return how sure the model is that is wrong."""
    found = flip.b_confidence if flip.right == "a" else flip.a_confidence
    return 0.0 if found is None else found
