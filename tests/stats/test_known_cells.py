"""Columns with unknown cells: every one is fitted to the rows where it is known, exactly."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from sklearn.datasets import load_digits

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats import residual_maker
from frostline.stats.ridge import FLOOR, ridge_loo, ridge_without
from frostline.stats.standardise import fit_standardiser
from frostline.stats.target_matrix import Values

ALPHAS = [0.01, 0.3]
#: more rows than pixels, and fewer
SIZES = [90, 40]


def task(n: int) -> tuple[FloatArray, FloatArray]:
    """Pixels of digits, and columns of which none, few, many and most cells are unknown."""
    data = load_digits()
    digit = data.target[:n].astype(np.float64)
    columns = [digit % 2, digit > 4, digit**2, np.sin(digit), digit == 3]
    truth = np.column_stack(columns).astype(np.float64)
    rng = np.random.default_rng(n)
    truth[rng.random(n) < 0.15, 1] = np.nan
    truth[rng.random(n) < 0.45, 2] = np.nan
    truth[rng.random(n) < 0.8, 3] = np.nan
    truth[:, 4][np.isnan(truth[:, 1])] = np.nan
    return data.data[:n], truth


def brute_force(
    X: FloatArray, y: FloatArray, codes: IntArray, weights: FloatArray, penalty: float
) -> FloatArray:
    """Outputs for every row of a fit to the known rows of all other groups."""
    n = len(X)
    scaled = weights * n / weights.sum()
    standardiser = fit_standardiser(X, weights=scaled, blocks=[slice(0, X.shape[1])], floor=FLOOR)
    Z = np.column_stack([standardiser.apply(X, slice(0, n)), np.ones(n)])
    shrink = np.diag([*[penalty] * X.shape[1], 0.0])
    outputs = np.empty(n)
    for row in range(n):
        rest = (codes != codes[row]) & ~np.isnan(y)
        A, w = Z[rest], scaled[rest, None]
        found = np.linalg.lstsq(A.T @ (w * A) + shrink, A.T @ (w[:, 0] * y[rest]), rcond=None)[0]
        outputs[row] = Z[row] @ found
    return outputs


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_left_out_outputs_are_those_of_fits_without_the_rows(
    n: int, grouped: bool, weighted: bool, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whatever costs less: the rows of each column taken out, or one matrix for all columns
    monkeypatch.setattr("frostline.stats.known_cells.pays", lambda few, n: at_once)
    X, truth = task(n)
    rng = np.random.default_rng(1)
    codes = rng.integers(0, n // 3, size=n) if grouped else np.arange(n)
    weights = rng.uniform(0.5, 2.0, size=n) if weighted else np.ones(n)
    fit = ridge_loo(
        X,
        Values(truth),
        alphas=ALPHAS,
        groups=codes,
        weights=weights if weighted else None,
        blocks=[slice(0, X.shape[1])],
    )
    squares = []
    for column in range(truth.shape[1]):
        wanted = brute_force(X, truth[:, column], codes, weights, fit.penalty)
        np.testing.assert_allclose(fit.loo[:, column], wanted, atol=1e-10, rtol=1e-9)
        known = ~np.isnan(truth[:, column])
        squares.append(weights[known] * (truth[known, column] - wanted[known]) ** 2)
        heft = weights
    heft = sum(weights[~np.isnan(truth[:, c])].sum() for c in range(truth.shape[1]))
    mse = np.concatenate(squares).sum() / heft
    assert fit.loo_mse.min() == pytest.approx(mse, rel=1e-9)
    # a division of its own, at the same alpha
    halves = rng.integers(0, 4, size=n)
    (found,) = ridge_without(
        X,
        Values(truth),
        [halves],
        alpha=fit.alpha,
        weights=weights if weighted else None,
        blocks=[slice(0, X.shape[1])],
    )
    for column in range(truth.shape[1]):
        wanted = brute_force(X, truth[:, column], halves, weights, fit.penalty)
        np.testing.assert_allclose(found[:, column], wanted, atol=1e-9, rtol=1e-8)


def test_units_of_a_column_change_nothing() -> None:
    X, truth = task(60)
    plain = ridge_loo(X, Values(truth, np.nanstd(truth, axis=0)))
    factor = np.array([1.0, 1e6, 1e-6, 3.0, 1.0])
    other = ridge_loo(X, Values(truth * factor, np.nanstd(truth * factor, axis=0)))
    assert plain.alpha == other.alpha
    np.testing.assert_allclose(other.loo, plain.loo * factor, rtol=1e-9)
    np.testing.assert_allclose(other.predict(X), other.fitted)


def test_a_column_of_one_group_alone_says_its_mean() -> None:
    X, truth = task(30)
    truth[2:, 0] = np.nan
    truth[:, 1] = np.nan
    groups = np.maximum(np.arange(30), 1)
    fit = ridge_loo(X, Values(truth), groups=groups)
    np.testing.assert_allclose(fit.loo[:, 0], truth[:2, 0].mean())
    assert not fit.weight[:, :2].any()
    assert not fit.loo[:, 1].any()


def test_many_columns_with_unknown_cells_are_fitted_by_one_matrix() -> None:
    X, _ = task(90)
    rng = np.random.default_rng(3)
    truth = (rng.random((90, 60)) < 0.3).astype(np.float64)
    truth[rng.random(truth.shape) < 0.1] = np.nan
    few = truth[:, :2]
    assert np.isnan(few).any(axis=0).all()
    with mock.patch.object(residual_maker, "_COLUMN", 0):
        assert not residual_maker.pays([_pattern(one) for one in few.T], 90)
        alone = ridge_loo(X, Values(few), alphas=[0.1])
    assert residual_maker.pays([_pattern(one) for one in truth.T], 90)
    together = ridge_loo(X, Values(truth), alphas=[0.1])
    np.testing.assert_allclose(together.loo[:, :2], alone.loo, atol=1e-11)
    np.testing.assert_allclose(together.weight[:, :2], alone.weight, atol=1e-11)


def _pattern(column: FloatArray) -> residual_maker.Pattern:
    unknown = np.isnan(column)
    return residual_maker.Pattern(np.flatnonzero(~unknown), np.flatnonzero(unknown), np.arange(1))
