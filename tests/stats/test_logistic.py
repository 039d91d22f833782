"""Logistic regression against scikit-learn on the same objective."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from frostline.core.errors import InputError
from frostline.stats.logistic import Folds, fit_logistic

Array = npt.NDArray[Any]


def _data(n: int, d: int, n_classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    raw = rng.normal(size=(n_classes, d))[labels] * 0.7 + rng.normal(size=(n, d))
    scales = 10.0 ** rng.uniform(-1, 1, d)
    return raw * scales + scales, labels


def _folds(labels: Array, k: int = 3) -> Folds:
    splitter = StratifiedKFold(k, shuffle=True, random_state=0)
    return list(splitter.split(np.zeros((len(labels), 1)), labels))


def _reference(
    X: Array, labels: Array, penalty: float, weights: Array | None = None
) -> tuple[Array, Array]:
    """Coefficients (d, C) and intercepts (C,) on raw features, by scikit-learn."""
    w = np.ones(len(X)) if weights is None else weights / weights.mean()
    mean = np.average(X, axis=0, weights=w)
    spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    model = LogisticRegression(C=1.0 / (len(X) * penalty), tol=1e-10, max_iter=20_000)
    model.fit((X - mean) / spread, labels, sample_weight=w)
    raw = model.coef_.T / spread[:, None]
    return raw, model.intercept_ - mean @ raw


@pytest.mark.parametrize("n, d", [(60, 90), (120, 20)])
@pytest.mark.parametrize("strength", [1e-5, 1e-3, 0.3])
def test_coefficients_equal_scikit_learn(n: int, d: int, strength: float) -> None:
    X, labels = _data(n, d, 3)
    fit = fit_logistic(X, labels, n_classes=3, folds=_folds(labels), strengths=[strength])
    weight, bias = _reference(X, labels, fit.penalty)
    assert np.linalg.norm(fit.weight - weight) < 1e-3 * np.linalg.norm(weight)
    assert np.linalg.norm(fit.bias - bias) < 1e-3 * np.linalg.norm(bias)


def test_class_weights_equal_scikit_learn() -> None:
    X, labels = _data(90, 12, 3)
    weights = np.array([1.0, 4.0, 0.5])
    fit = fit_logistic(
        X, labels, n_classes=3, folds=_folds(labels), strengths=[0.05], class_weights=weights
    )
    weight, bias = _reference(X, labels, fit.penalty, weights[labels])
    assert np.linalg.norm(fit.weight - weight) < 1e-3 * np.linalg.norm(weight)
    assert np.linalg.norm(fit.bias - bias) < 1e-3 * np.linalg.norm(bias)


def test_out_of_fold_logits_and_choice_equal_refits() -> None:
    X, labels = _data(90, 30, 3, seed=1)
    folds = _folds(labels)
    grid = np.array([1e-4, 1e-2, 1.0])
    fit = fit_logistic(X, labels, n_classes=3, folds=folds, strengths=grid)
    losses = []
    for strength in grid:
        probabilities = np.empty((90, 3))
        for train, test in folds:
            # a fit on the train rows alone, with the penalty that belongs to them
            alone = fit_logistic(
                X[train],
                labels[train],
                n_classes=3,
                folds=_folds(labels[train], 2),
                strengths=[strength],
            )
            weight, bias = _reference(X[train], labels[train], alone.penalty)
            logits = X[test] @ weight + bias
            if strength == fit.strength:
                np.testing.assert_allclose(fit.out_of_fold[test], logits, rtol=0, atol=0.01)
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            probabilities[test] = powers / powers.sum(axis=1, keepdims=True)
        losses.append(log_loss(labels, probabilities))
    np.testing.assert_allclose(fit.out_of_fold_nll, losses, rtol=1e-3)
    assert fit.strength == grid[int(np.argmin(losses))]


def test_digits_are_read() -> None:
    X, labels = load_digits(return_X_y=True)
    X, labels = X[:800].astype(np.float32), labels[:800]
    fit = fit_logistic(X, labels, n_classes=10, folds=_folds(labels))
    assert np.mean(np.argmax(fit.out_of_fold, axis=1) == labels) > 0.94
    assert fit.strengths.min() < fit.strength < fit.strengths.max()
    assert np.mean(np.argmax(fit.predict(X), axis=1) == labels) > 0.97


def test_a_class_missing_from_a_fold_keeps_logits_finite() -> None:
    X, labels = _data(60, 8, 3)
    labels = np.where(labels == 2, 1, labels)
    labels[:2] = 2
    X[:, 5] = 7.0
    folds = [
        (np.arange(2, 60), np.arange(2)),
        (np.arange(30), np.arange(30, 60)),
        (np.r_[0:2, 30:60], np.arange(2, 30)),
    ]
    fit = fit_logistic(X, labels, n_classes=4, folds=folds)
    assert np.all(np.isfinite(fit.out_of_fold)) and np.all(np.isfinite(fit.out_of_fold_nll))
    assert np.all(fit.weight[5] == 0.0)
    assert not np.any(np.argmax(fit.predict(X), axis=1) == 3)


def test_blocks_equal_scaling_the_columns() -> None:
    X, labels = _data(80, 20, 3)
    blocks = [slice(0, 4), slice(4, 20)]
    fit = fit_logistic(
        X, labels, n_classes=3, folds=_folds(labels), strengths=[0.02], blocks=blocks
    )
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    scaled[:, :4] /= 2.0
    scaled[:, 4:] /= 4.0
    same = fit_logistic(
        scaled,
        labels,
        n_classes=3,
        folds=_folds(labels),
        strengths=[0.02],
        standardise=False,
    )
    np.testing.assert_allclose(fit.predict(X), same.predict(scaled), atol=1e-4)


@pytest.mark.parametrize(
    "folds, words",
    [
        ([], "cover each of 6 rows once"),
        ([([0, 1, 2], [3, 4, 5])], "cover each"),
        ([([0, 1, 3], [3, 4, 5]), ([3, 4, 5], [0, 1, 2])], "Fold 0 has rows in its train"),
        ([([0, 1, 9], [3, 4, 5]), ([3, 4, 5], [0, 1, 2])], "Fold 0 needs"),
    ],
)
def test_wrong_folds_are_named(folds: list[tuple[list[int], list[int]]], words: str) -> None:
    X, labels = _data(6, 2, 2)
    parts = [(np.array(train), np.array(test)) for train, test in folds]
    with pytest.raises(InputError, match=words):
        fit_logistic(X, labels, n_classes=2, folds=parts)
