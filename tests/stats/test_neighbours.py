"""Nearest-neighbour votes against a slow version, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits

from frostline.core.errors import InputError
from tests.stats.on_labels import knn_loo

Array = npt.NDArray[Any]


def _slow(X: Array, labels: Array, n_classes: int, k: int, groups: Array) -> Array:
    centred = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    votes = np.zeros((len(X), n_classes))
    for i, row in enumerate(centred):
        others = [
            (float(row @ other / (np.linalg.norm(row) * np.linalg.norm(other))), int(labels[j]))
            for j, other in enumerate(centred)
            if groups[j] != groups[i]
        ]
        for cosine, label in sorted(others, reverse=True)[:k]:
            votes[i, label] += np.exp(cosine / 0.07)
    shares: Array = votes / votes.sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize("grouped", [False, True])
def test_votes_equal_the_slow_version(grouped: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 6)) + 5.0
    labels = np.arange(50) % 4
    groups = np.arange(50) // 3 if grouped else np.arange(50)
    votes = knn_loo(X, labels, n_classes=5, k=4, groups=groups if grouped else None)
    np.testing.assert_allclose(votes, _slow(X, labels, 5, 4, groups), atol=1e-4)
    assert np.all(votes[:, 4] == 0.0)


@pytest.mark.parametrize("smallest, k", [(1, 1), (2, 1), (6, 5), (40, 20)])
def test_k_follows_the_smallest_class(smallest: int, k: int) -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [smallest, 60])
    X = rng.normal(size=(len(labels), 5))
    chosen = knn_loo(X, labels, n_classes=2)
    np.testing.assert_array_equal(chosen, knn_loo(X, labels, n_classes=2, k=k))


def test_large_groups_leave_fewer_votes_but_no_nan() -> None:
    X = np.random.default_rng(0).normal(size=(12, 3))
    groups = np.array([0] * 10 + [1, 2])
    votes = knn_loo(X, np.arange(12) % 2, n_classes=2, k=8, groups=groups)
    np.testing.assert_allclose(votes.sum(axis=1), 1.0)


def test_a_row_at_the_centre_is_no_obstacle() -> None:
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    votes = knn_loo(X, np.array([0, 0, 1, 1, 1]), n_classes=2)
    assert np.all(np.isfinite(votes))


def test_digits_are_read() -> None:
    X, labels = load_digits(return_X_y=True)
    votes = knn_loo(X, labels, n_classes=10)
    assert np.mean(np.argmax(votes, axis=1) == labels) > 0.96


def test_wrong_input_is_named() -> None:
    X, labels = np.eye(4), np.array([0, 1, 0, 1])
    with pytest.raises(InputError, match="at least 1"):
        knn_loo(X, labels, n_classes=2, k=0)
    with pytest.raises(InputError, match="finite"):
        knn_loo(np.full((4, 4), np.inf), labels, n_classes=2)
