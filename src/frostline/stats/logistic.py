"""Multinomial logistic regression with an L2 penalty chosen out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.errors import InputError
from frostline.stats.inputs import (
    FloatArray,
    IntArray,
    check_features,
    check_labels,
    check_strengths,
    linear_outputs,
    row_weights,
)
from frostline.stats.selection import part_of
from frostline.stats.softmax_path import SoftmaxPath, log_sum_exp

#: strengths tried by default, as multiples of the mean eigenvalue of the covariance
STRENGTHS: tuple[float, ...] = tuple(float(s) for s in np.geomspace(1e-5, 1e1, 8))

Folds = Sequence[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]]


@dataclass(frozen=True)
class LogisticFit:
    """A logistic classifier with its out-of-fold logits.

    Attributes
    ----------
    weight : ndarray of shape (d, C), float64
        Applies to raw features.
    bias : ndarray of shape (C,), float64
    strength : float
        The chosen strength, a multiple of the mean eigenvalue of the covariance.
    penalty : float
        The same in absolute terms, for the mean log-likelihood on standardised features.
    strengths : ndarray of shape (k,)
        The strengths that were tried.
    out_of_fold : ndarray of shape (n, C)
        Logits of every row from the fit, at the chosen strength, that did not see its fold.
    out_of_fold_nll : ndarray of shape (k,)
        Negative log-likelihood per row, in nats, at every strength.
    """

    weight: FloatArray
    bias: FloatArray
    strength: float
    penalty: float
    strengths: FloatArray
    out_of_fold: FloatArray
    out_of_fold_nll: FloatArray

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Return logits of shape (n, C) for raw features of shape (n, d)."""
        return linear_outputs(X, self.weight, self.bias)


def fit_logistic(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    n_classes: int,
    folds: Folds,
    strengths: npt.ArrayLike | None = None,
    class_weights: npt.ArrayLike | None = None,
    standardise: bool = True,
    blocks: Sequence[slice] | None = None,
) -> LogisticFit:
    """Fit at the strength whose out-of-fold log-likelihood is best.

    Minimises the mean of ``-log softmax(W'z + b)[label]`` plus ``penalty / 2 * |W|^2`` over
    standardised features ``z``; the intercept is free. Features are first rotated onto the
    eigenvectors of their covariance, which changes nothing for this penalty but leaves at most
    min(n, d) columns and lets L-BFGS (Liu and Nocedal 1989) start with a well-scaled problem.
    Standardisation and rotation are inside the folds.

    Parameters
    ----------
    X : array of shape (n, d)
        Raw features.
    labels : int array of shape (n,)
        In [0, n_classes). A class that is absent from a fit gets weight 0 and the bias of half
        an image, so that logits stay finite.
    n_classes : int
    folds : sequence of (train, test) pairs of positions
        Test parts must cover every row once; train and test must not overlap.
    strengths : array of shape (k,) or None
        Multiples of the mean eigenvalue; 8 values from 1e-5 to 10 for None.
    class_weights : array of shape (n_classes,) or None
    standardise : bool, default=True
    blocks : sequence of slice or None
        As in :func:`frostline.stats.ridge.ridge_loo`.

    Raises
    ------
    InputError
        If shapes or values are wrong, a feature is not finite, or the folds do not fit the rows.
    """
    features = check_features(X)
    n = len(features)
    targets = check_labels(labels, n_rows=n, n_classes=n_classes)
    grid = check_strengths(STRENGTHS if strengths is None else strengths)
    weights = row_weights(targets, class_weights, n_classes=n_classes)
    parts = _checked_folds(folds, n_rows=n)
    strong_to_weak = np.argsort(-grid, kind="stable")

    logits = np.empty((len(grid), n, n_classes))
    for train, test in parts:
        problem = SoftmaxPath.of(
            part_of(features, train), targets[train], weights[train], n_classes, standardise, blocks
        )
        rotated = problem.rotated(part_of(features, test))
        for j, (coefficients, bias) in zip(
            strong_to_weak, problem.path(grid[strong_to_weak]), strict=True
        ):
            logits[j, test] = rotated @ coefficients + bias
    nll = np.array([_mean_nll(at_strength, targets, weights) for at_strength in logits])
    best = int(strong_to_weak[np.argmin(nll[strong_to_weak])])

    problem = SoftmaxPath.of(features, targets, weights, n_classes, standardise, blocks)
    # walking down from the strongest one is as good a start here as in the folds
    down_to_best = np.sort(grid[grid >= grid[best]])[::-1]
    for coefficients, bias in problem.path(down_to_best, refine_last=True):
        weight, intercept = problem.raw(coefficients, bias)
    return LogisticFit(
        weight=weight,
        bias=intercept,
        strength=float(grid[best]),
        penalty=float(grid[best] * problem.mean_eigenvalue),
        strengths=grid,
        out_of_fold=logits[best],
        out_of_fold_nll=nll,
    )


def _checked_folds(folds: Folds, *, n_rows: int) -> list[tuple[IntArray, IntArray]]:
    """Return the folds as int64 positions, or say what is wrong with them."""
    parts = [
        (np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64))
        for train, test in folds
    ]
    held = np.sort(np.concatenate([test for _, test in parts])) if parts else np.zeros(0)
    if not np.array_equal(held, np.arange(n_rows)):
        raise InputError(f"The test parts of the folds must cover each of {n_rows} rows once.")
    for number, (train, test) in enumerate(parts):
        if len(np.intersect1d(train, test)):
            raise InputError(f"Fold {number} has rows in its train and its test part.")
        if len(train) < 2 or train.min() < 0 or train.max() >= n_rows:
            raise InputError(f"Fold {number} needs at least 2 train rows from 0 to {n_rows - 1}.")
    return parts


def _mean_nll(logits: FloatArray, labels: IntArray, weights: FloatArray) -> float:
    chosen = logits[np.arange(len(labels)), labels]
    return float(weights @ (log_sum_exp(logits) - chosen) / weights.sum())
