"""A kernel beside a linear head, against brute force and problems made for one or the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.kernel_ridge import KernelRidge as ScikitLearn

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.kernel_ridge import kernel_ridge
from frostline.stats.ridge import FLOOR
from frostline.stats.standardise import fit_standardiser
from frostline.stats.target_matrix import OneHot

_BLOCKS = [slice(0, 20), slice(20, 64)]


@pytest.fixture(scope="module")
def digits() -> tuple[FloatArray, IntArray]:
    pixels, labels = load_digits(return_X_y=True)
    return pixels[:150], labels[:150].astype(np.int64)


def _closeness(X: FloatArray, others: FloatArray) -> FloatArray:
    """The kernel between rows and those it was fitted on, the long way."""
    standardiser = fit_standardiser(others, blocks=_BLOCKS, floor=FLOOR)
    # the deeper half of the blocks
    a, b = (standardiser.apply(one, slice(None))[:, 20:] for one in (X, others))
    among = np.square(b[:, None] - b).sum(axis=2)
    half = float(np.median(among[np.triu_indices(len(b), 1)])) / 4
    found: FloatArray = 1 / (1 + np.square(a[:, None] - b).sum(axis=2) / half)
    return found


def test_the_kernel_falls_with_the_distance_between_features(
    digits: tuple[FloatArray, IntArray],
) -> None:
    X, y = digits
    part = kernel_ridge(X[:100], OneHot(y[:100], 10), blocks=_BLOCKS, seed=0).part
    assert len(part.landmarks) == 100
    alone = replace(part, weight=np.eye(100))
    np.testing.assert_allclose(alone.outputs(X[:100]), _closeness(X[:100], X[:100]), atol=1e-8)
    # 44 features have no more than 44 components
    np.testing.assert_allclose(alone.outputs(X[100:]), _closeness(X[100:], X[:100]), atol=1e-8)


def test_the_fit_is_kernel_ridge_with_an_intercept(digits: tuple[FloatArray, IntArray]) -> None:
    X, y = digits
    X, y = X[:100], y[:100]
    fit = kernel_ridge(X, OneHot(y, 10), blocks=_BLOCKS, seed=0)
    np.testing.assert_allclose(fit.part.outputs(X) + fit.bias, fit.fitted, atol=1e-6)
    one_hot = np.eye(10)[y]
    mean = one_hot.mean(axis=0)
    centred = np.eye(100) - 1 / 100
    whole = _closeness(X, X)
    kernel = centred @ whole @ centred
    found = [
        ScikitLearn(alpha=factor * np.trace(kernel) / 100, kernel="precomputed")
        for factor in 10.0 ** (np.arange(-8, 5) / 2)
    ]
    off = [np.abs(o.fit(kernel, one_hot - mean).predict(kernel) + mean - fit.fitted) for o in found]
    best = int(np.argmin([each.max() for each in off]))
    assert off[best].max() < 1e-5
    # a row that is left out is as good as never seen
    rest = np.delete(np.arange(100), 7)
    some = whole[np.ix_(rest, rest)]
    rows, columns = some.mean(axis=0), some.mean(axis=1)
    inside = some - rows - columns[:, None] + some.mean()
    without = found[best].fit(inside, one_hot[rest] - one_hot[rest].mean(axis=0))
    new = whole[7, rest] - rows - whole[7, rest].mean() + some.mean()
    expected = without.predict(new[None])[0] + one_hot[rest].mean(axis=0)
    np.testing.assert_allclose(fit.loo[7], expected, atol=1e-5)


@pytest.mark.parametrize("alone", [False, True])
def test_slopes_are_those_of_the_outputs(
    digits: tuple[FloatArray, IntArray], *, alone: bool
) -> None:
    X, y = digits
    part = kernel_ridge(X[:100], OneHot(y[:100], 10), blocks=_BLOCKS, seed=0).part
    rows, classes = X[100:104], y[100:104]

    def said(features: FloatArray) -> FloatArray:
        outputs = part.outputs(features)
        common = 0.0 if alone else outputs.mean(axis=1)
        chosen: FloatArray = outputs[np.arange(4), classes] - common
        return chosen

    slopes = part.slopes(rows, classes, alone=alone)
    for channel in (2, 30, 61):
        step = np.zeros(64)
        step[channel] = 1e-4
        expected = (said(rows + step) - said(rows - step)) / 2e-4
        np.testing.assert_allclose(slopes[:, channel], expected, rtol=1e-5, atol=1e-9)


def test_many_rows_are_compared_with_some(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 6)), rng.integers(0, 2, 90).astype(np.int64)
    monkeypatch.setattr("frostline.stats.kernel_ridge._LANDMARKS", 30)
    monkeypatch.setattr("frostline.stats.kernel_ridge._ROWS", 40)
    fits = [kernel_ridge(X, OneHot(y, 2), blocks=[slice(0, 6)], seed=seed) for seed in (0, 0, 1)]
    assert fits[0].part.landmarks.shape == (30, 6)
    np.testing.assert_array_equal(fits[0].loo, fits[1].loo)
    assert not np.allclose(fits[0].loo, fits[2].loo)


def test_constant_features_say_nothing() -> None:
    y = np.arange(20) % 2
    fit = kernel_ridge(np.ones((20, 3)), OneHot(y, 2), blocks=[slice(0, 3)], seed=0)
    np.testing.assert_allclose(fit.fitted, 0.5)
