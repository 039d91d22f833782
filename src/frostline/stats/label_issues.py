"""Labels that are probably wrong: confident learning on out-of-fold probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.out_of_fold import OutOfFold


@dataclass(frozen=True)
class LabelIssues:
    """What confident learning says about given labels.

    ``positions``, shape (k,): images whose label is in doubt, the likeliest error first.
    ``margins``, shape (k,): probability of the label less that of the likeliest other class, in
    [-1, 0). ``joint``, shape (C, C): estimated number of images by given (row) and likely true
    class (column); rows add up to the class counts.
    """

    positions: IntArray
    margins: FloatArray
    joint: FloatArray

    @property
    def expected(self) -> float:
        """Estimated number of wrong labels."""
        return float(self.joint.sum() - np.trace(self.joint))


def find_label_issues(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> LabelIssues:
    """Find likely label errors (Northcutt, Jiang and Chuang 2021).

    Class ``j`` has a threshold of its own: the mean probability that images labelled ``j`` get for
    ``j``. So classes that the model is rarely sure of are not suspected more than others. An image
    is counted under the likeliest class whose threshold it reaches. Counted elsewhere than under
    its label, and predicted as something else, its label is in doubt. The order is by margin:
    probability of the label less that of the likeliest other class. Raises InputError if shapes do
    not fit.

    ``probabilities``, shape (n, C): of images that the model was not trained on: one that has
    learned a wrong label repeats it. ``labels``, shape (n,): as given, in [0, C).
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise InputError(
            f"Label errors need probabilities (n, C) and labels (n,), not {p.shape} and {y.shape}."
        )
    n, n_classes = p.shape
    everyone = np.arange(n)
    counts = np.bincount(y, minlength=n_classes)
    own = p[everyone, y]
    sums = np.bincount(y, weights=own, minlength=n_classes)
    # nobody can be shown to belong to a class that nobody was given
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    reached = p >= thresholds
    counted = np.where(reached, p, -1.0).argmax(axis=1)
    confident = reached.any(axis=1)
    joint = np.zeros((n_classes, n_classes))
    np.add.at(joint, (y[confident], counted[confident]), 1.0)
    seen = joint.sum(axis=1, keepdims=True)
    identity = np.eye(n_classes)
    joint = np.where(seen > 0, joint / np.maximum(seen, 1.0), identity) * counts[:, None]
    others = p.copy()
    others[everyone, y] = -1.0
    margins = own - others.max(axis=1)
    doubted = np.flatnonzero(confident & (counted != y) & (margins < 0))
    order = np.argsort(margins[doubted], kind="stable")
    found = doubted[order].astype(np.int64)
    return LabelIssues(found, margins[found], joint)


@dataclass(frozen=True)
class LabelIssue:
    """One label in doubt; ``probabilities`` (C,) are those that speak against it.

    ``answer``: the class that was answered, the likeliest one for None.
    """

    row: int
    margin: float
    probabilities: FloatArray
    answer: int | None = None

    @property
    def said(self) -> int:
        """The class that is said in place of the label."""
        return int(self.probabilities.argmax()) if self.answer is None else self.answer


def likely_label_errors(
    judged: Sequence[OutOfFold], labels: npt.ArrayLike, *, most: int
) -> list[LabelIssue]:
    """Search all out-of-fold predictions; the likeliest errors first.

    Each judge is searched with thresholds of its own, and an image counts with its first judge.

    Parameters
    ----------
    judged : sequence of OutOfFold
        The most trusted judge first.
    labels : int array
        Of all catalog rows.
    most : int
        How many are returned at most.
    """
    given = np.asarray(labels, dtype=np.int64)
    known: set[int] = set()
    found: list[LabelIssue] = []
    for one in judged:
        fresh = np.array([int(row) not in known for row in one.rows], dtype=bool)
        rows, p = one.rows[fresh], one.probabilities[fresh]
        known |= {int(row) for row in rows}
        if not len(rows):
            continue
        doubts = find_label_issues(p, given[rows])
        found += [
            LabelIssue(int(rows[place]), float(margin), p[place])
            for place, margin in zip(doubts.positions, doubts.margins, strict=True)
        ]
    return sorted(found, key=lambda doubt: (doubt.margin, doubt.row))[:most]
