"""Labels of several that are probably wrong, and numbers that are far off: image and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.label_issues import find_label_issues
from frostline.stats.out_of_fold import OutOfFold

#: images that have a label, and that lack it, below which nothing is said of it
LEAST = 5
#: robust standard deviations beyond which a number is far off
FAR = 4.0
#: of a normal law, the standard deviation by the median absolute one
_NORMAL = 1.4826


@dataclass(frozen=True)
class CellIssue:
    """One label or number of one image, and what a model that did not see it says.

    ``row``: of the catalog. ``output``: number of the label or column. ``given``: 1.0 or 0.0, or
    the number. ``predicted``: the probability of the label, or the number. ``margin``: of labels
    the probability of what is given less that of the other, in [-1, 0); of numbers minus how many
    robust standard deviations they are off.
    """

    row: int
    output: int
    given: float
    predicted: float
    margin: float


def likely_label_errors_of_sets(
    judged: Sequence[OutOfFold], truth: npt.ArrayLike, *, most: int
) -> list[CellIssue]:
    """Search out-of-fold predictions for labels that are probably wrong, the likeliest first.

    Confident learning (:func:`frostline.stats.label_issues.find_label_issues`) for each label by
    itself: an image has it or not. Labels that fewer than five images have, or lack, are not
    judged.

    Parameters
    ----------
    judged : sequence of OutOfFold
        The most trusted judge first; an image counts with its first.
    truth : array of shape (n, C)
        Of all catalog rows: 1, 0, and NaN where it is not known.
    most : int
        How many are returned at most.
    """
    values = np.asarray(truth, dtype=np.float64)
    found: list[CellIssue] = []
    for rows, p in _fresh(judged, values):
        own = values[rows]
        for c in range(own.shape[1]):
            known = np.flatnonzero(~np.isnan(own[:, c]))
            given = own[known, c].astype(np.int64)
            if min(given.sum(), len(given) - given.sum()) < LEAST:
                continue
            chance = p[known, c]
            doubts = find_label_issues(np.column_stack([1.0 - chance, chance]), given)
            found += [
                CellIssue(
                    int(rows[known[at]]), c, float(given[at]), float(chance[at]), float(margin)
                )
                for at, margin in zip(doubts.positions, doubts.margins, strict=True)
            ]
    return sorted(found, key=_order)[:most]


def worst_labels(
    judged: OutOfFold, decided: npt.ArrayLike, truth: npt.ArrayLike, *, most: int
) -> list[CellIssue]:
    """Return labels that were given or kept back wrongly, the surest first.

    ``decided``, shape (n, C): 1 and 0, of the rows of ``judged``. ``truth``, shape (N, C): of all
    catalog rows, NaN where it is not known.
    """
    said, p = np.asarray(decided, dtype=np.float64), judged.probabilities
    own = np.asarray(truth, dtype=np.float64)[judged.rows]
    wrong = np.argwhere((said != own) & ~np.isnan(own))
    found = []
    for i, c in wrong.tolist():
        sure = float(p[i, c]) if own[i, c] == 0.0 else 1.0 - float(p[i, c])
        row = int(judged.rows[i])
        found.append(CellIssue(row, c, float(own[i, c]), float(p[i, c]), 1.0 - 2.0 * sure))
    return sorted(found, key=_order)[:most]


def numbers_far_off(
    judged: Sequence[OutOfFold], truth: npt.ArrayLike, *, most: int, beyond: float = FAR
) -> list[CellIssue]:
    """Return the numbers that are furthest from what is predicted, in robust standard deviations.

    Such a number may be wrong, or the image hard. ``judged``: as above, of numbers. ``truth``,
    shape (n, k): of all catalog rows, NaN where it is not known. ``beyond``: how far off a number
    must be to be told.
    """
    values = np.asarray(truth, dtype=np.float64)
    found: list[CellIssue] = []
    for rows, p in _fresh(judged, values):
        off = p - values[rows]
        for c in range(off.shape[1]):
            known = np.flatnonzero(~np.isnan(off[:, c]))
            if len(known) < LEAST:
                continue
            centred = off[known, c] - np.median(off[known, c])
            scale = _NORMAL * float(np.median(np.abs(centred)))
            if not scale:
                continue
            for at in known[np.abs(centred) > beyond * scale]:
                row = int(rows[at])
                z = abs(float(off[at, c])) / scale
                found.append(CellIssue(row, c, float(values[row, c]), float(p[at, c]), -z))
    return sorted(found, key=_order)[:most]


def furthest_off(judged: OutOfFold, truth: npt.ArrayLike, *, most: int) -> list[CellIssue]:
    """Return the numbers that were predicted worst, by standard deviations of their column.

    ``judged``: of numbers. ``truth``, shape (N, k): of all catalog rows, NaN where it is not known.
    """
    own = np.asarray(truth, dtype=np.float64)[judged.rows]
    found: list[CellIssue] = []
    for c in range(own.shape[1]):
        known = np.flatnonzero(~np.isnan(own[:, c]))
        spread = float(own[known, c].std()) if len(known) else 0.0
        if not spread:
            continue
        off = np.abs(judged.probabilities[known, c] - own[known, c]) / spread
        for i in np.argsort(-off, kind="stable")[:most]:
            at = known[i]
            said = float(judged.probabilities[at, c])
            row = int(judged.rows[at])
            found.append(CellIssue(row, c, float(own[at, c]), said, -float(off[i])))
    return sorted(found, key=_order)[:most]


def _fresh(
    judged: Sequence[OutOfFold], truth: FloatArray
) -> list[tuple[npt.NDArray[np.int64], FloatArray]]:
    """Return rows and predictions of each judge, without rows that an earlier one has judged."""
    known: set[int] = set()
    found = []
    for one in judged:
        if truth.ndim != 2 or one.probabilities.shape[1:] != truth.shape[1:]:
            raise InputError(
                f"Expected predictions for {truth.shape[1:]} outputs, not shape "
                f"{one.probabilities.shape}."
            )
        fresh = np.array([int(row) not in known for row in one.rows], dtype=bool)
        known |= {int(row) for row in one.rows}
        if fresh.any():
            found.append((one.rows[fresh], one.probabilities[fresh]))
    return found


def _order(one: CellIssue) -> tuple[float, int, int]:
    return one.margin, one.row, one.output
