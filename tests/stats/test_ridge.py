"""Ridge leave-one-out against explicit refits that share no code with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

from frostline.core.errors import InputError
from frostline.stats.inputs import CHUNK_ROWS
from frostline.stats.probe_accuracy import loo_accuracy
from frostline.stats.ridge import FLOOR, RidgeLOO
from frostline.stats.spectrum import Spectrum
from tests.stats.on_labels import ridge_loo, ridge_without

Array = npt.NDArray[Any]


def _data(
    n: int, d: int, n_classes: int, *, seed: int = 0, dtype: type = np.float64
) -> tuple[Array, Array]:
    """Correlated features of very different scales and offsets, with every class present."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    centres = rng.normal(size=(n_classes, d))
    raw = centres[labels] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d)
    scales = 10.0 ** rng.uniform(-2, 2, d)
    return (raw * scales + 3.0 * scales * rng.normal(size=d)).astype(dtype), labels


def _standardised(
    X: Array, weights: Array, *, blocks: list[slice] | None, standardise: bool
) -> Array:
    X = X.astype(np.float64)
    mean = np.average(X, axis=0, weights=weights)
    spread = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weights))
    Z: Array = X - mean
    if standardise:
        divisor = np.empty_like(spread)
        for block in blocks or [slice(None)]:
            usual = np.median(spread[block][spread[block] > 0])
            divisor[block] = np.sqrt(spread[block] ** 2 + (FLOOR * usual) ** 2)
        Z = np.where(spread > 0, Z / divisor, 0.0)
    for block in blocks or []:
        Z[:, block] /= np.sqrt(block.stop - block.start)
    return Z


def _refits(
    X: Array,
    labels: Array,
    fit: RidgeLOO,
    *,
    groups: Array,
    class_weights: Array | None = None,
    blocks: list[slice] | None = None,
    standardise: bool = True,
) -> Array:
    """Leave every group out in turn, refitting with scikit-learn."""
    n_classes = len(fit.bias)
    w = np.ones(len(X)) if class_weights is None else class_weights[labels]
    w = w / w.mean()
    Z = _standardised(X, w, blocks=blocks, standardise=standardise)
    Y = np.eye(n_classes)[labels]
    outputs = np.empty((len(X), n_classes))
    for group in np.unique(groups):
        out = groups == group
        model = Ridge(alpha=fit.penalty, solver="cholesky")
        model.fit(Z[~out], Y[~out], sample_weight=w[~out])
        outputs[out] = model.predict(Z[out])
    return outputs


def _relative(found: Array, expected: Array) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("n, d", [(40, 90), (90, 40), (60, 60)])
@pytest.mark.parametrize("alpha", [1e-3, 1.0])
def test_leaving_one_out_equals_refitting(n: int, d: int, alpha: float) -> None:
    X, labels = _data(n, d, 4)
    fit = ridge_loo(X, labels, n_classes=4, alphas=[alpha])
    expected = _refits(X, labels, fit, groups=np.arange(n))
    assert _relative(fit.loo, expected) < 1e-8


@pytest.mark.parametrize("n, d", [(40, 90), (90, 40)])
def test_leaving_groups_out_equals_refitting(n: int, d: int) -> None:
    X, labels = _data(n, d, 3, seed=1)
    groups = np.random.default_rng(2).integers(0, n // 3, n) * 7 - 5
    groups[0] = 1000
    assert set(np.unique(groups, return_counts=True)[1]) >= {1, 2, 3}
    fit = ridge_loo(X, labels, n_classes=3, groups=groups)
    expected = _refits(X, labels, fit, groups=groups)
    assert _relative(fit.loo, expected) < 1e-8


@pytest.mark.parametrize("class_weights", [None, np.array([0.5, 1.0, 4.0])])
def test_groups_larger_than_the_features_equal_refitting(class_weights: Array | None) -> None:
    X, labels = _data(400, 6, 3, seed=4)
    groups = np.random.default_rng(0).choice([0, 0, 0, 1, 1, 2, 3, 3], 400)
    groups[:40] = 10 + np.arange(40) // 4
    fit = ridge_loo(X, labels, n_classes=3, groups=groups, class_weights=class_weights)
    expected = _refits(X, labels, fit, groups=groups, class_weights=class_weights)
    assert _relative(fit.loo, expected) < 1e-8
    w = np.ones(400) if class_weights is None else class_weights[labels]
    error = ((expected - np.eye(3)[labels]) ** 2).sum(axis=1) @ (w / w.mean()) / 1200
    assert fit.loo_mse.min() == pytest.approx(error, rel=1e-9)


def test_large_groups_take_small_systems_and_few_rows_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n, d = 3 * CHUNK_ROWS, 5
    X, labels = _data(n, d, 2)
    solved, gathered = [], []
    solve, rotated = np.linalg.solve, Spectrum.rotated

    def solving(a: Array, b: Array) -> Array:
        solved.append(a.shape[-1])
        return solve(a, b)

    def rotating(self: Spectrum, rows: slice | Array) -> Array:
        found = rotated(self, rows)
        gathered.append(len(found))
        return found

    monkeypatch.setattr(np.linalg, "solve", solving)
    monkeypatch.setattr(Spectrum, "rotated", rotating)
    ridge_loo(X, labels, n_classes=2, groups=np.arange(n) % 2, alphas=[0.1, 1.0])
    assert set(solved) == {d + 1}
    assert max(gathered) <= CHUNK_ROWS


@pytest.mark.parametrize("n, d", [(40, 90), (90, 40)])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("standardise", [False, True])
def test_weights_and_blocks_equal_refitting(
    n: int, d: int, grouped: bool, standardise: bool
) -> None:
    X, labels = _data(n, d, 3, seed=3)
    groups = np.arange(n) // 2 if grouped else np.arange(n)
    options: dict[str, Any] = {
        "class_weights": np.array([0.3, 1.0, 5.0]),
        "blocks": [slice(0, 7), slice(7, d)],
        "standardise": standardise,
    }
    fit = ridge_loo(X, labels, n_classes=3, groups=groups, alphas=[0.01], **options)
    expected = _refits(X, labels, fit, groups=groups, **options)
    assert _relative(fit.loo, expected) < 1e-8


@pytest.mark.parametrize("n, d", [(30, 50), (50, 30)])
def test_weights_apply_to_raw_features(n: int, d: int) -> None:
    X, labels = _data(n, d, 3)
    fit = ridge_loo(X, labels, n_classes=3)
    Z = _standardised(X, np.ones(n), blocks=None, standardise=True)
    model = Ridge(alpha=fit.penalty, solver="cholesky").fit(Z, np.eye(3)[labels])
    assert _relative(fit.fitted, model.predict(Z)) < 1e-8
    assert _relative(fit.predict(X[:5]), model.predict(Z[:5])) < 1e-8


def test_whole_class_weights_equal_repeated_rows() -> None:
    X, labels = _data(30, 12, 2)
    weighted = ridge_loo(X, labels, n_classes=2, class_weights=[1.0, 3.0], alphas=[0.1])
    copies = np.repeat(np.arange(30), np.where(labels == 1, 3, 1))
    repeated = ridge_loo(X[copies], labels[copies], n_classes=2, groups=copies, alphas=[0.1])
    # leaving out an image with its copies is leaving out one heavy image
    first = np.unique(copies, return_index=True)[1]
    np.testing.assert_allclose(weighted.loo, repeated.loo[first], rtol=1e-8, atol=1e-10)


def test_alpha_has_the_lowest_refitted_error() -> None:
    X, labels = _data(50, 30, 3, seed=5)
    grid = np.array([1e-4, 1e-2, 1.0, 100.0])
    fit = ridge_loo(X, labels, n_classes=3, alphas=grid)
    errors = []
    for alpha in grid:
        alone = ridge_loo(X, labels, n_classes=3, alphas=[alpha])
        expected = _refits(X, labels, alone, groups=np.arange(50))
        errors.append(np.mean((expected - np.eye(3)[labels]) ** 2))
    np.testing.assert_allclose(fit.loo_mse, errors, rtol=1e-7)
    assert fit.alpha == grid[int(np.argmin(errors))]


def test_alpha_is_relative_to_the_mean_eigenvalue() -> None:
    X, labels = _data(50, 30, 3)
    fit = ridge_loo(X, labels, n_classes=3, alphas=[0.5])
    Z = _standardised(X, np.ones(50), blocks=None, standardise=True)
    assert fit.penalty == pytest.approx(0.5 * np.linalg.eigvalsh(Z.T @ Z).mean(), rel=1e-9)


def test_chunks_and_group_order_do_not_matter() -> None:
    n = CHUNK_ROWS + 300
    X, labels = _data(n, 12, 3, dtype=np.float32)
    rng = np.random.default_rng(0)
    groups = np.where(np.arange(n) < 100, np.arange(n) // 4, np.arange(n) + n)
    order = rng.permutation(n)
    plain = ridge_loo(X, labels, n_classes=3, groups=groups)
    mixed = ridge_loo(X[order], labels[order], n_classes=3, groups=groups[order])
    np.testing.assert_allclose(mixed.loo, plain.loo[order], rtol=1e-7, atol=1e-9)


def test_constant_duplicated_and_tiny_inputs_stay_finite_and_exact() -> None:
    X, labels = _data(24, 40, 4, dtype=np.float32)
    X[:, 3] = 0.1
    X[:, 4] = 0.0
    X[5:8] = X[4]
    labels[:] = np.arange(24) % 3
    labels[[1, 9]] = 3
    fit = ridge_loo(X, labels, n_classes=6)
    assert np.all(fit.weight[3:5] == 0.0)
    assert np.all(np.isfinite(fit.loo)) and np.all(np.isfinite(fit.weight))
    kept = np.delete(X, [3, 4], axis=1)
    expected = _refits(kept, labels, fit, groups=np.arange(24))
    assert _relative(fit.loo, expected) < 1e-7
    assert np.abs(fit.loo[:, 4:]).max() < 1e-12


def test_only_constant_features_give_the_share_of_the_other_rows() -> None:
    labels = np.array([0, 0, 0, 1])
    fit = ridge_loo(np.ones((4, 3)), labels, n_classes=2)
    np.testing.assert_allclose(fit.loo[:, 0], [2 / 3, 2 / 3, 2 / 3, 1.0])
    np.testing.assert_allclose(fit.predict(np.zeros((1, 3))), [[0.75, 0.25]])


def test_hardly_any_penalty_stays_finite() -> None:
    X, labels = _data(20, 60, 3)
    for groups in (None, np.arange(20) // 2):
        fit = ridge_loo(X, labels, n_classes=3, alphas=[1e-14], groups=groups)
        assert np.all(np.isfinite(fit.loo))


def test_many_classes_with_two_images_each() -> None:
    X, labels = _data(120, 30, 60)
    labels = np.arange(120) % 60
    fit = ridge_loo(X, labels, n_classes=1000)
    assert fit.loo.shape == (120, 1000)
    expected = _refits(X, labels, fit, groups=np.arange(120))
    assert _relative(fit.loo, expected) < 1e-8


def test_near_copies_fool_leave_one_out_but_not_leave_group_out() -> None:
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.normal(size=(60, 80)), 2, axis=0)
    labels = np.repeat(rng.integers(0, 2, 60), 2)
    groups = np.repeat(np.arange(60), 2)
    fooled = loo_accuracy(ridge_loo(noise, labels, n_classes=2), labels)
    honest = loo_accuracy(ridge_loo(noise, labels, n_classes=2, groups=groups), labels)
    assert fooled.accuracy > 0.9
    assert honest.accuracy < 0.7


def test_digits_are_read() -> None:
    X, labels = load_digits(return_X_y=True)
    # the set is ordered by writer; leave-one-out speaks for further images of the same kind
    order = np.random.default_rng(0).permutation(len(labels))
    X, labels = X[order], labels[order]
    fit = ridge_loo(X.astype(np.float32)[:600], labels[:600], n_classes=10)
    accuracy = loo_accuracy(fit, labels[:600])
    held = np.mean(np.argmax(fit.predict(X[600:]), axis=1) == labels[600:])
    assert held > 0.88
    assert abs(accuracy.accuracy - held) < 3 * accuracy.standard_error


def test_loo_accuracy_counts_and_errors() -> None:
    X, labels = _data(80, 10, 3, seed=7)
    X += np.random.default_rng(0).normal(size=X.shape) * X.std(axis=0) * 2
    fit = ridge_loo(X, labels, n_classes=4)
    found = loo_accuracy(fit, labels)
    hit = np.array([int(np.argmax(row)) for row in fit.loo]) == labels
    assert np.array_equal(found.correct, hit)
    assert found.accuracy == pytest.approx(hit.mean())
    assert found.standard_error == pytest.approx(hit.std(ddof=1) / np.sqrt(80))
    recalls = [hit[labels == c].mean() for c in range(3)]
    assert found.balanced_accuracy == pytest.approx(np.mean(recalls))
    rough = np.sqrt(sum(r * (1 - r) / np.sum(labels == c) for c, r in enumerate(recalls))) / 3
    assert found.balanced_standard_error == pytest.approx(rough, rel=0.02)
    assert found.train_accuracy == pytest.approx(np.mean(np.argmax(fit.fitted, axis=1) == labels))


def test_standard_errors_count_groups_and_are_never_zero() -> None:
    labels = np.repeat([0, 1], 20)
    X = labels[:, None] + np.random.default_rng(0).normal(size=(40, 1)) * 0.01
    fit = ridge_loo(X, labels, n_classes=2)
    perfect = loo_accuracy(fit, labels)
    assert perfect.accuracy == 1.0
    assert 0.0 < perfect.standard_error < 0.1
    assert 0.0 < perfect.balanced_standard_error < 0.1
    noisy = np.random.default_rng(1).normal(size=(40, 4))
    noisy = np.repeat(noisy[::4], 4, axis=0)
    groups = np.repeat(np.arange(10), 4)
    fit = ridge_loo(noisy, labels, n_classes=2, groups=groups)
    alone, together = loo_accuracy(fit, labels), loo_accuracy(fit, labels, groups=groups)
    assert together.accuracy == alone.accuracy
    assert together.standard_error > 1.5 * alone.standard_error


@pytest.mark.parametrize(
    "change, words",
    [
        ({"labels": [0, 1, 0]}, "4 rows"),
        ({"labels": [0, 1, 2, 0]}, "0 to 1"),
        ({"labels": [0.0, 1.0, 1.0, 0.0]}, "whole numbers"),
        ({"groups": [1, 1, 1, 1]}, "one group"),
        ({"groups": [1, 2]}, "groups"),
        ({"alphas": [0.0]}, "positive"),
        ({"alphas": []}, "at least one"),
        ({"class_weights": [1.0, 0.0]}, "positive"),
        ({"class_weights": [1.0]}, "class weights"),
        ({"blocks": [slice(0, 1)]}, "column 1"),
        ({"blocks": [slice(0, 2), slice(1, 2)]}, "2 times"),
        ({"X": np.full((4, 2), np.nan)}, "Feature 0"),
        ({"X": np.zeros(4)}, "table"),
        ({"X": np.zeros((1, 2)), "labels": [0]}, "at least 2 rows"),
    ],
)
def test_wrong_input_is_named(change: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"X": np.eye(4, 2), "labels": [0, 1, 1, 0], "n_classes": 2, **change}
    with pytest.raises(InputError, match=words):
        ridge_loo(given.pop("X"), given.pop("labels"), **given)


def test_prediction_needs_the_same_columns() -> None:
    fit = ridge_loo(np.eye(4, 2), np.array([0, 1, 1, 0]), n_classes=2)
    with pytest.raises(InputError, match="2 columns"):
        fit.predict(np.zeros((3, 5)))


@pytest.mark.parametrize(("n", "d"), [(60, 20), (40, 90)])
def test_several_divisions_at_once_equal_one_at_a_time(n: int, d: int) -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(n, d))
    labels = rng.integers(0, 3, n)
    divisions = [np.arange(n) % k for k in (2, 5)]
    found = ridge_without(features, labels, divisions, n_classes=3, alpha=0.3)
    for outputs, groups in zip(found, divisions, strict=True):
        alone = ridge_loo(features, labels, n_classes=3, alphas=[0.3], groups=groups)
        np.testing.assert_array_equal(outputs, alone.loo)
