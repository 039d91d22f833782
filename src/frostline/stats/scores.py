"""Every score of a set of predictions, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.core.score_record import Bin
from frostline.stats.inputs import check_labels
from frostline.stats.intervals import effective_count, stratified_bootstrap, wilson
from frostline.stats.reliability import calibration_error, reliability

# probabilities are kept this far from 0 in logarithms, as scikit-learn does
_TINY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Scores:
    """Scores of probabilities against the truth; shares and accuracies lie in [0, 1].

    Attributes
    ----------
    accuracy_interval : tuple of two floats
        Wilson, 95 %; wider where images belong together.
    balanced_accuracy : float
        Mean recall over the classes that occur in the truth.
    balanced_accuracy_interval : tuple of two floats
        Stratified bootstrap, 95 %; classes without a mistake, or without a hit, add Wilson's.
    macro_f1 : float
        Mean F1 over the classes that occur in the truth; wrong calls of others lower their recall.
    nll : float
        Mean negative log-likelihood, in nats.
    brier : float
        Mean squared distance to the one-hot truth, in [0, 2].
    ece : float
        Expected calibration error over 15 bins of equal mass.
    reliability : list of Bin
        These bins: how often predictions of each confidence are right.
    confusion : ndarray of shape (C, C), int64
        Rows are the truth, columns the predictions.
    per_class : list of dict
        ``class`` (index), ``precision``, ``recall``, ``f1`` (None where undefined), ``support``.
    expected_cost : float or None, default=None
        Mean cost of the answers; None where mistakes have no costs of their own.
    """

    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    balanced_accuracy: float
    balanced_accuracy_interval: tuple[float, float]
    macro_f1: float
    nll: float
    brier: float
    ece: float
    reliability: list[Bin]
    confusion: IntArray
    per_class: list[dict[str, Any]]
    expected_cost: float | None = None

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return plain JSON types, classes by name.

        Raises InputError if the number of names is not the number of classes.
        """
        if len(classes) != len(self.per_class):
            raise InputError(
                f"There are {len(self.per_class)} classes but {len(classes)} class names."
            )
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "balanced_accuracy": self.balanced_accuracy,
            "balanced_accuracy_interval": list(self.balanced_accuracy_interval),
            "macro_f1": self.macro_f1,
            "nll": self.nll,
            "brier": self.brier,
            "ece": self.ece,
            "reliability": [one.to_json() for one in self.reliability],
            "classes": list(classes),
            "confusion": self.confusion.tolist(),
            **({} if self.expected_cost is None else {"expected_cost": self.expected_cost}),
            "per_class": [{**row, "class": classes[row["class"]]} for row in self.per_class],
        }


def score(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    seed: int = 0,
    groups: npt.ArrayLike | None = None,
    answers: IntArray | None = None,
    costs: npt.ArrayLike | None = None,
) -> Scores:
    """Score probabilities of shape (n, C) against labels of shape (n,).

    Raises InputError if there is no row, the shapes do not fit, a label is out of range, or rows
    are not probabilities (to 0.001; they are rescaled to sum to 1 in float64).

    Parameters
    ----------
    probabilities : array of shape (n, C)
    labels : int array of shape (n,)
    seed : int, default=0
        Of the bootstrap.
    groups : int array of shape (n,) or None, default=None
        Images of one group succeed and fail together, so they count for less.
    answers : int array of shape (n,) or None, default=None
        Classes that were answered; the likeliest ones for None.
    costs : array of shape (C, C) or None, default=None
        What it costs to answer the class of the column for one of the row.
    """
    p, y = _checked(probabilities, labels)
    n, n_classes = p.shape
    guess = p.argmax(axis=1) if answers is None else answers
    right = guess == y
    confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
    confusion += np.bincount(y * n_classes + guess, minlength=n_classes**2).reshape(confusion.shape)
    per_class = [_one_class(confusion, c) for c in range(n_classes)]
    present = np.unique(y)
    recalls = confusion.diagonal()[present] / confusion.sum(axis=1)[present]
    f1 = [per_class[c]["f1"] for c in present]
    sure = p[np.arange(n), y]
    bins = reliability(p[np.arange(n), guess], right)
    worth = float(n) if groups is None else effective_count(right, groups)
    return Scores(
        n=n,
        accuracy=float(right.mean()),
        accuracy_interval=wilson(float(right.mean()) * worth, worth),
        balanced_accuracy=float(recalls.mean()),
        balanced_accuracy_interval=stratified_bootstrap(right, y, seed=seed),
        macro_f1=float(np.mean(f1)),
        nll=float(-np.log(np.maximum(sure, _TINY)).mean()),
        # the squared distance to the one-hot truth, multiplied out
        brier=float(max(0.0, (np.einsum("ij,ij->i", p, p) - 2.0 * sure + 1.0).mean())),
        ece=calibration_error(bins),
        reliability=bins,
        confusion=confusion,
        per_class=per_class,
        expected_cost=None if costs is None else float(np.asarray(costs)[y, guess].mean()),
    )


def _one_class(confusion: IntArray, c: int) -> dict[str, Any]:
    hits, support, called = (
        int(confusion[c, c]),
        int(confusion[c].sum()),
        int(confusion[:, c].sum()),
    )
    return {
        "class": c,
        "precision": hits / called if called else None,
        "recall": hits / support if support else None,
        "f1": 2 * hits / (support + called) if support + called else None,
        "support": support,
    }


def _checked(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    values = np.asarray(probabilities, dtype=np.float64)
    shape = np.shape(labels)
    if values.ndim != 2 or 0 in values.shape or shape != values.shape[:1]:
        raise InputError(
            f"Cannot score probabilities of shape {values.shape} on labels of shape "
            f"{shape}: at least one image is needed, and one label for each."
        )
    targets = check_labels(labels, n_rows=len(values), n_classes=values.shape[1])
    total = values.sum(axis=1, keepdims=True)
    if not np.all(np.abs(total - 1.0) <= 1e-3) or values.min() < 0:
        raise InputError("Probabilities must be at least 0 and sum to 1 for every image.")
    return values / total, targets
