"""What leave-one-out outputs say about accuracy, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray
from frostline.stats.inputs import check_labels, group_codes
from frostline.stats.intervals import clustered_error


class LeftOutFit(Protocol):
    """A fit with its outputs (n, C) for the rows it was fitted on, ``loo`` without each of them."""

    @property
    def loo(self) -> FloatArray: ...

    @property
    def fitted(self) -> FloatArray: ...


@dataclass(frozen=True)
class LOOAccuracy:
    """Leave-one-out accuracy of a fit.

    - ``correct``, shape (n,): whether each row is classified rightly by the fit without it (or
      without its group).
    - ``accuracy`` and ``train_accuracy``: from ``fit.loo`` and ``fit.fitted``.
    - ``standard_error``: of ``accuracy``; never below what half a mistake would give, so never 0.
    - ``balanced_accuracy``: mean recall over the classes that occur.
    - ``balanced_standard_error``: of ``balanced_accuracy``, with the same floor within each class.
    """

    correct: BoolArray
    accuracy: float
    standard_error: float
    balanced_accuracy: float
    balanced_standard_error: float
    train_accuracy: float


def loo_accuracy(
    fit: LeftOutFit, labels: npt.ArrayLike, *, groups: npt.ArrayLike | None = None
) -> LOOAccuracy:
    """Score the leave-out outputs of a fit.

    Parameters
    ----------
    labels : int array of shape (n,)
        Those that the fit was given.
    groups : array of shape (n,) or None
        Rows of one group succeed and fail together, so standard errors count groups, not rows.
    """
    n, n_classes = fit.loo.shape
    targets = check_labels(labels, n_rows=n, n_classes=n_classes)
    codes = group_codes(groups, n_rows=n)
    correct = np.argmax(fit.loo, axis=1) == targets
    counts = np.bincount(targets, minlength=n_classes)
    occurring = counts > 0
    hits = np.bincount(targets, weights=correct, minlength=n_classes)
    recall = hits[occurring] / counts[occurring]
    share = np.full(n, 1.0 / n)
    balanced_share = 1.0 / (counts[targets] * occurring.sum())
    class_recall = np.zeros(n_classes)
    class_recall[occurring] = recall
    floor = _floor(np.array([correct.sum()]), np.array([n]))
    return LOOAccuracy(
        correct=correct,
        accuracy=float(correct.mean()),
        standard_error=max(clustered_error(share * (correct - correct.mean()), codes), floor),
        balanced_accuracy=float(recall.mean()),
        balanced_standard_error=max(
            clustered_error(balanced_share * (correct - class_recall[targets]), codes),
            _floor(hits[occurring], counts[occurring]),
        ),
        train_accuracy=float(np.mean(np.argmax(fit.fitted, axis=1) == targets)),
    )


def _floor(hits: npt.NDArray[np.number], counts: npt.NDArray[np.number]) -> float:
    """Return the standard error of the mean recall if half a row had gone the other way."""
    extreme = (hits == 0) | (hits == counts)
    share = (0.5 / (counts + 1.0)) * extreme
    return float(np.sqrt(np.sum(share * (1.0 - share) / counts)) / len(counts))
