"""Probes against explicit refits on scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from frostline.core.arrays import BoolArray
from frostline.core.plan import ProbeEvidence
from frostline.core.rng import generator
from frostline.evidence.curve import last_doubling
from frostline.evidence.halves import half_of
from frostline.evidence.probes import Probe, best_tap, probe
from frostline.stats.ridge import FLOOR, RidgeLOO
from frostline.targets.labelled import Labelled
from frostline.targets.single_label import SingleLabel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


def digits(n: int, seed: int = 0) -> tuple[Float, Int]:
    data = load_digits()
    rows = np.random.default_rng(seed).permutation(len(data.target))[:n]
    return data.data[rows], data.target[rows].astype(np.int64)


def refit_without(features: Float, labels: Int, left_out: BoolArray, penalty: float) -> Float:
    """Outputs for the left-out rows, by the normal equations on all the others."""
    spread = features.std(axis=0)
    varies = spread > 1e-6 * np.maximum(np.abs(features.mean(axis=0)), spread.max())
    divisor = np.hypot(spread[varies], FLOOR * np.median(spread[varies]))
    z = features[:, varies] / divisor / np.sqrt(varies.sum())
    targets = np.eye(10)[labels]
    x, y = z[~left_out], targets[~left_out]
    mean, target_mean = x.mean(axis=0), y.mean(axis=0)
    gram = (x - mean).T @ (x - mean) + penalty * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, (x - mean).T @ (y - target_mean))
    outputs: Float = (z[left_out] - mean) @ weight + target_mean
    return outputs


def labelled(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64] | None = None
) -> Labelled:
    """Ten classes; every image is a group of its own if none are given."""
    return Labelled(SingleLabel(10), labels, np.arange(len(labels)) if groups is None else groups)


@pytest.mark.parametrize("n", [50, 150])
def test_every_number_equals_that_of_explicit_leave_one_out(n: int) -> None:
    features, labels = digits(n)
    found = probe("bn2", features, labelled(labels))
    outputs = np.concatenate(
        [refit_without(features, labels, np.arange(n) == i, found.fit.penalty) for i in range(n)]
    )
    right = outputs.argmax(axis=1) == labels
    np.testing.assert_array_equal(found.correct, right)
    evidence = found.evidence
    assert (evidence.tap, evidence.dimensions) == ("bn2", 64)
    assert evidence.accuracy == pytest.approx(right.mean())
    assert evidence.standard_error == pytest.approx(right.std(ddof=1) / np.sqrt(n))
    recalls = [right[labels == c].mean() for c in np.unique(labels)]
    assert evidence.balanced_accuracy == pytest.approx(np.mean(recalls))
    assert evidence.mse == pytest.approx(np.mean((outputs - np.eye(10)[labels]) ** 2), rel=1e-6)
    assert evidence.train_accuracy >= evidence.accuracy


def test_groups_are_left_out_together_and_counted_once() -> None:
    features, labels = digits(60)
    rng = np.random.default_rng(1)
    # every image three times with a trace of noise: left out alone it would be recognised
    copies = np.repeat(features, 3, axis=0) + rng.normal(size=(180, 64)) * 0.01
    labels3, groups = np.repeat(labels, 3), np.repeat(np.arange(60), 3)
    naive = probe("t", copies, labelled(labels3))
    honest = probe("t", copies, labelled(labels3, groups))
    assert naive.evidence.accuracy > honest.evidence.accuracy + 0.1
    outputs = np.concatenate(
        [refit_without(copies, labels3, groups == g, honest.fit.penalty) for g in range(60)]
    )
    np.testing.assert_allclose(honest.fit.loo, outputs, atol=1e-7)
    per_group = honest.correct.reshape(60, 3).mean(axis=1)
    assert honest.evidence.standard_error == pytest.approx(per_group.std(ddof=1) / np.sqrt(60))


def with_accuracy(correct: BoolArray) -> Probe:
    empty = np.zeros((1, 1))
    accuracy = float(correct.mean())
    return Probe(
        RidgeLOO(empty, empty[0], 1.0, 1.0, empty[0], empty, empty, empty[0]),
        correct,
        ProbeEvidence(
            tap="t",
            dimensions=1,
            accuracy=accuracy,
            standard_error=0.0,
            balanced_accuracy=accuracy,
            mse=0.0,
            train_accuracy=1.0,
            alpha=1.0,
        ),
        correct,
    )


def test_a_deeper_tap_is_preferred_unless_it_is_clearly_worse() -> None:
    base = np.arange(400) % 10 < 7
    much_worse, barely_worse = base.copy(), base.copy()
    much_worse[:100] = False
    # 11 rows lost and 10 others gained: the loss of one row is within its error
    barely_worse[np.flatnonzero(base)[:11]] = False
    barely_worse[np.flatnonzero(~base)[:10]] = True
    worst = np.zeros(400, dtype=bool)
    assert best_tap([with_accuracy(c) for c in (worst, base, much_worse)]) == 1
    assert best_tap([with_accuracy(c) for c in (worst, base, barely_worse)]) == 2
    assert best_tap([with_accuracy(c) for c in (base, barely_worse, much_worse)]) == 1
    assert best_tap([with_accuracy(c) for c in (base, base, base)]) == 2


def test_halves_keep_groups_whole_and_classes_in_proportion() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(4), [200, 100, 40, 1])
    order = rng.permutation(len(labels))
    labels = labels[order]
    groups = np.arange(len(labels))
    pairs = np.flatnonzero(labels == 0)[:60].reshape(30, 2)
    groups[pairs[:, 1]] = groups[pairs[:, 0]]

    def drawn(number: int) -> BoolArray:
        return half_of(labels, groups, rng=generator("halves of the curve", 0, number))

    half = drawn(0)
    assert (half[pairs[:, 0]] == half[pairs[:, 1]]).all()
    counts = np.bincount(labels[half], minlength=4)
    assert 80 <= counts[0] <= 120
    assert counts[1:3].tolist() == [50, 20]
    np.testing.assert_array_equal(half, drawn(0))
    assert (half != drawn(1)).any()


def test_the_last_doubling_is_what_scikit_learn_gains_by_it() -> None:
    features, labels = digits(1797)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = features[order], labels[order]

    def gained(n: int, seed: int) -> float:
        own, theirs = x[seed * n :][:n], y[seed * n :][:n]
        found = last_doubling(
            own,
            labelled(theirs),
            blocks=[slice(0, 64)],
            seed=seed,
            whole=probe("all", own, labelled(theirs)).evidence,
        )
        assert found is not None
        return found

    for n in (60, 240):
        runs = range(6)
        truth = [_taught(x, y, seed * n, n) - _taught(x, y, seed * n, n // 2) for seed in runs]
        found = [gained(n, seed) for seed in runs]
        assert np.mean(truth) > 0.01
        assert abs(np.mean(found) - np.mean(truth)) < 0.03
    whole = probe("all", features[:2], labelled(labels[:2])).evidence
    with_few = last_doubling(
        features[:2],
        labelled(labels[:2]),
        blocks=[slice(0, 64)],
        seed=0,
        whole=whole,
    )
    assert with_few is None


def _taught(x: Float, y: Int, start: int, n: int) -> float:
    """Accuracy on all other digits of ridge regression that learned from ``n`` of them."""
    learn = np.arange(start, start + n)
    rest = np.setdiff1d(np.arange(len(y)), np.arange(start, start + 240))
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(0, 4, 13)))
    return float(model.fit(x[learn], y[learn]).score(x[rest], y[rest]))
