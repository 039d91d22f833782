"""Stacked heads against brute force: refits without a row, general solvers, folds that lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.datasets import load_digits

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.ridge import FLOOR, RidgeLOO, ridge_loo
from frostline.stats.second_stage import StageKind, fit_second_stage, stage_kinds
from frostline.stats.stacked_head import stack_prior, stacked_head
from frostline.stats.stacking import fit_stack
from frostline.stats.target_matrix import OneHot

_BLOCKS = [slice(0, 16), slice(16, 40), slice(40, 64)]


@pytest.fixture(scope="module")
def digits() -> tuple[FloatArray, IntArray]:
    """120 digits as three blocks of pixels, with noise of their own."""
    pixels, labels = load_digits(return_X_y=True)
    noise = np.random.default_rng(0).normal(size=pixels.shape)
    return (pixels + 4.0 * noise)[:120], labels[:120].astype(np.int64)


def _fits(X: FloatArray, y: IntArray, groups: IntArray | None = None) -> list[RidgeLOO]:
    targets = OneHot(y, 10)
    whole = ridge_loo(X, targets, groups=groups, blocks=_BLOCKS)
    return [whole, *(ridge_loo(X[:, b], targets, groups=groups) for b in _BLOCKS)]


def _folds(n: int, n_folds: int = 5) -> list[tuple[IntArray, IntArray]]:
    of_row = np.arange(n) % n_folds
    return [(np.flatnonzero(of_row != f), np.flatnonzero(of_row == f)) for f in range(n_folds)]


def _loss(logits: FloatArray, labels: IntArray) -> float:
    """Cross-entropy with labels softened by the share of one virtual image."""
    n, n_classes = logits.shape
    truth = np.full((n, n_classes), 1.0 / (n + 2.0) / (n_classes - 1))
    truth[np.arange(n), labels] = 1.0 - 1.0 / (n + 2.0)
    return float(-(truth * log_softmax(logits, axis=1)).sum(axis=1).mean())


_COLUMNS = [slice(0, 64), *_BLOCKS]


def test_the_collapsed_head_is_the_corrected_sum_of_all(
    digits: tuple[FloatArray, IntArray],
) -> None:
    X, y = digits
    fits, prior = _fits(X, y), stack_prior(3)
    for kind in stage_kinds(10):
        head = stacked_head(
            fits, _COLUMNS, y, _folds(120), prior=prior, groups=np.arange(120), kinds=[kind]
        )
        outputs = [_at_shares_of_all(fit.loo, y) for fit in fits]
        stack = fit_stack(outputs, y, prior=prior)
        stage = fit_second_stage(kind, stack.apply(outputs), y)
        each = [f.predict(X[:, c]) for f, c in zip(fits, _COLUMNS, strict=True)]
        wanted = stage.apply(stack.apply(each))
        np.testing.assert_allclose(X @ head.weight + head.bias, wanted, atol=1e-6)
        np.testing.assert_allclose(head.fitted, wanted, atol=1e-6)


def test_left_out_logits_are_those_of_refits_without_the_row(
    digits: tuple[FloatArray, IntArray],
) -> None:
    X, y = digits
    fits, prior, folds = _fits(X, y), stack_prior(3), _folds(120)
    head = stacked_head(
        fits, _COLUMNS, y, folds, prior=prior, groups=np.arange(120), kinds=["biases"]
    )
    row = 7
    learn = next(learn for learn, judge in folds if row in judge)
    rest = np.delete(np.arange(120), row)
    # scale and penalty stay as they were on all rows, as leave-one-out means it
    refits = []
    for fit, columns in zip(fits, _COLUMNS, strict=True):
        part = X[:, columns]
        Z = part - part.mean(axis=0)
        for block in _BLOCKS if columns is _COLUMNS[0] else [slice(None)]:
            spread = part[:, block].std(axis=0)
            usual = np.median(spread[spread > 0])
            Z[:, block] /= np.sqrt(spread**2 + (FLOOR * usual) ** 2)
            if columns is _COLUMNS[0]:
                Z[:, block] /= np.sqrt(np.sum(spread > 0))
        one_hot = np.eye(10)[y]
        mean, centre = one_hot[rest].mean(axis=0), Z[rest].mean(axis=0)
        A = Z[rest] - centre
        W = np.linalg.solve(
            A.T @ A + fit.penalty * np.eye(A.shape[1]), A.T @ (one_hot[rest] - mean)
        )
        left_out = (Z[row] - centre) @ W
        np.testing.assert_allclose(left_out + mean, fit.loo[row], atol=1e-8)
        refits.append(left_out + one_hot.mean(axis=0))
    seen = [_at_shares_of_all(fit.loo, y)[learn] for fit in fits]
    stack = fit_stack(seen, y[learn], prior=prior)
    stage = fit_second_stage("biases", stack.apply(seen), y[learn])
    wanted = stage.apply(stack.apply([r[None] for r in refits]))
    np.testing.assert_allclose(head.loo[row], wanted[0], atol=1e-6)


def _at_shares_of_all(loo: FloatArray, y: IntArray) -> FloatArray:
    """Leave-one-out outputs whose intercept is that of all rows, the long way."""
    one_hot = np.eye(10)[y]
    found = loo.copy()
    for row in range(len(y)):
        found[row] += one_hot.mean(axis=0) - np.delete(one_hot, row, axis=0).mean(axis=0)
    return found


def test_with_few_images_a_class_no_accuracy_is_claimed_that_is_not_there() -> None:
    """Nor is much less claimed: leaving a row out takes a fifth of its class along."""
    claimed, met, bare = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        centres = rng.normal(size=(6, 30))
        y, new = np.repeat(np.arange(6), 5), np.repeat(np.arange(6), 50)
        X, others = (centres[k] + 2.5 * rng.normal(size=(len(k), 30)) for k in (y, new))
        columns = [slice(0, 30), slice(0, 15), slice(15, 30)]
        fits = [ridge_loo(X[:, c], OneHot(y, 6)) for c in columns]
        head = stacked_head(
            fits, columns, y, _folds(30), prior=stack_prior(2), groups=np.arange(30)
        )
        claimed.append(np.mean(head.loo.argmax(axis=1) == y))
        met.append(np.mean((others @ head.weight + head.bias).argmax(axis=1) == new))
        bare.append(np.mean(fits[0].loo.argmax(axis=1) == y))
    assert np.mean(claimed) <= np.mean(met) + 0.03
    assert np.mean(claimed) >= np.mean(met) - 0.1
    assert np.mean(bare) < np.mean(claimed)


def test_a_group_that_is_all_of_a_class_tells_nothing_of_it() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 20)
    X, groups = rng.normal(size=(60, 8)), np.where(y == 0, 0, np.arange(60))
    fit = ridge_loo(X, OneHot(y, 3), groups=groups)
    folds = [(np.flatnonzero(groups % 5 != f), np.flatnonzero(groups % 5 == f)) for f in range(5)]
    head = stacked_head(
        [fit], [slice(0, 8)], y, folds, prior=stack_prior(0), groups=groups, kinds=["none"]
    )
    # whoever never saw a class cannot name it
    assert np.mean(head.loo[y == 0].argmax(axis=1) == 0) < 0.2


def test_weights_are_the_optimum_that_a_general_solver_finds(
    digits: tuple[FloatArray, IntArray],
) -> None:
    X, y = digits
    outputs = [fit.loo for fit in _fits(X, y)]
    prior = stack_prior(3)
    stack = fit_stack(outputs, y, prior=prior)
    logits = np.stack([o / t for o, t in zip(outputs, stack.temperatures, strict=True)])

    def loss(log_weights: FloatArray) -> float:
        values = np.exp(log_weights)
        return _loss(np.tensordot(values, logits, 1), y) - float(prior @ log_weights) / len(y)

    found = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9})
    wanted = np.exp(found.x)
    np.testing.assert_allclose(stack.weights, wanted / wanted.sum(), atol=1e-4)


@pytest.mark.parametrize("kind", ["biases", "matrix"])
def test_a_correction_is_the_optimum_that_a_general_solver_finds(
    digits: tuple[FloatArray, IntArray], kind: StageKind
) -> None:
    X, y = digits
    keep = y < 4
    X, y = X[keep], y[keep]
    outputs = ridge_loo(X, OneHot(y, 4)).loo
    plain, stage = (fit_second_stage(k, outputs, y) for k in ("none", kind))
    logits, n = plain.apply(outputs), len(y)
    shrink = {"biases": 1.0, "matrix": 10.0}[kind]

    def parts(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        if kind == "biases":
            return values[0] * np.eye(4), values[1:]
        return values.reshape(4, 5)[:, :4], values.reshape(4, 5)[:, 4]

    def loss(values: FloatArray) -> float:
        matrix, bias = parts(values)
        return _loss(logits + logits @ matrix.T + bias, y) + shrink / n * float(values @ values)

    found = minimize(loss, np.zeros(5 if kind == "biases" else 20), options={"gtol": 1e-8})
    matrix, bias = parts(found.x)
    wanted = logits + logits @ matrix.T + bias
    np.testing.assert_allclose(stage.apply(outputs), wanted, atol=1e-4)


def test_a_masked_class_comes_back() -> None:
    """Least squares never predicts the middle one of three classes in a row."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 600).astype(np.int64)
    X = np.stack([y + 0.25 * rng.normal(size=600), rng.normal(size=600)], axis=1)
    fit = ridge_loo(X, OneHot(y, 3))
    assert np.mean(fit.loo[y == 1].argmax(axis=1) == 1) < 0.2
    head = stacked_head(
        [fit], [slice(0, 2)], y, _folds(600), prior=stack_prior(0), groups=np.arange(600)
    )
    assert head.stage != "none"
    assert np.mean(head.loo[y == 1].argmax(axis=1) == 1) > 0.8
    assert head.log_losses[head.stage] < head.log_losses["none"] - 0.1


def test_no_row_of_a_fold_has_a_say_in_its_own_logits(
    digits: tuple[FloatArray, IntArray],
) -> None:
    X, y = digits
    fits, folds = _fits(X, y), _folds(120)
    judge = folds[0][1]

    def logits(labels: IntArray) -> FloatArray:
        # what fits leave out is the same, whatever is said of the rows afterwards
        same = [
            replace(f, loo=_at_shares_of_all(f.loo, y) - _at_shares_of_all(0.0 * f.loo, labels))
            for f in fits
        ]
        found = stacked_head(
            same,
            _COLUMNS,
            labels,
            folds,
            prior=stack_prior(3),
            groups=np.arange(120),
            kinds=["biases"],
        )
        return found.loo

    lied = y.copy()
    lied[judge] = (lied[judge] + 3) % 10
    np.testing.assert_allclose(logits(y)[judge], logits(lied)[judge], atol=1e-9)
    assert not np.allclose(logits(y)[folds[1][1]], logits(lied)[folds[1][1]])


def test_without_a_gain_nothing_is_corrected() -> None:
    """Labels that features say nothing about: a correction could only fit noise."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 90).astype(np.int64)
    fit = ridge_loo(rng.normal(size=(90, 5)), OneHot(y, 3))
    head = stacked_head(
        [fit], [slice(0, 5)], y, _folds(90), prior=stack_prior(0), groups=np.arange(90)
    )
    assert head.stage == "none"


def test_weights_of_rows_count() -> None:
    """A row of weight 2 is worth two rows."""
    rng = np.random.default_rng(3)
    outputs, y = rng.normal(size=(60, 3)), rng.integers(0, 3, 60).astype(np.int64)
    outputs[np.arange(60), y] += 1.0
    twice = np.concatenate([np.arange(60), np.arange(30)])
    weights = np.where(np.arange(60) < 30, 2.0, 1.0)
    temperature = fit_second_stage("none", outputs, y)
    a = fit_second_stage("biases", outputs[twice], y[twice])
    b = fit_second_stage("biases", outputs, y, weights=weights / weights.mean())
    assert not np.allclose(b.bias, fit_second_stage("biases", outputs, y).bias, atol=1e-3)
    assert np.abs(a.bias - b.bias).max() < 0.1
    assert temperature.kind == "none"


@pytest.mark.parametrize("scale", [0.0, 1e-18])
def test_outputs_that_tell_nothing_weigh_as_the_prior_says(scale: float) -> None:
    random = np.random.default_rng(0)
    outputs = [scale * random.normal(size=(16, 2)) for _ in range(4)]
    prior = stack_prior(3)
    with np.errstate(all="raise"):
        stack = fit_stack(outputs, np.arange(16) % 2, prior=prior)
    np.testing.assert_allclose(stack.weights, prior / prior.sum(), rtol=1e-3)
