"""Fits to a few columns: exact without an image or a part, and no false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

from frostline.stats.balanced_gains import gains_of_classes, gains_of_labels, gains_of_numbers
from frostline.stats.clusters import clusters
from frostline.stats.shuffled_fit import ColumnFit, p_value_of


def test_left_out_outputs_are_those_of_fits_without_the_rows() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(40, 5)) * (1.0, 10.0, 0.1, 3.0, 1.0) + 2.0
    targets = rng.normal(size=(40, 2)) + columns[:, :2]
    spread = columns.std(axis=0)
    folds = np.arange(40) % 7
    fit = ColumnFit.of(columns)
    # the penalty and the scale are those of all rows, as everywhere
    scaled = columns / spread
    for row in (0, 17, 39):
        others = np.arange(40) != row
        ridge = Ridge(alpha=0.02 * 40).fit(scaled[others], targets[others])
        expected = ridge.predict(scaled[[row]])[0]
        assert fit.left_out(targets)[row] == pytest.approx(expected, abs=1e-9)
    together = fit.left_out_together(targets, folds)
    for fold in range(7):
        ridge = Ridge(alpha=0.02 * 40).fit(scaled[folds != fold], targets[folds != fold])
        expected = ridge.predict(scaled[folds == fold])
        assert together[folds == fold] == pytest.approx(expected, abs=1e-9)


def test_columns_that_tell_are_found_and_others_seldom_are() -> None:
    images = load_digits().images[:200]
    labels = load_digits().target[:200]
    targets = np.eye(10)[labels]
    columns = images.mean(axis=2)
    assert p_value_of(ColumnFit.of(columns), targets, np.random.default_rng(0)) == 0.005
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        fit = ColumnFit.of(columns[rng.permutation(200)])
        alarms += p_value_of(fit, targets, rng, shuffles=39) <= 0.05
    # two binomial errors above the promised 5 %
    assert alarms <= 200 * 0.05 + 2 * np.sqrt(200 * 0.05 * 0.95)


def test_scores_are_not_raised_by_imbalance() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    shares = np.array([0.9, 0.1])
    nothing = np.tile(shares, (100, 1))
    found = gains_of_classes(nothing, labels, shares)
    assert found.score == pytest.approx(0.5)
    assert found.chance == 0.5
    right = gains_of_classes(np.eye(2)[labels], labels, shares)
    assert right.score == 1.0
    assert right.each.mean() == pytest.approx(right.score)


def test_labels_and_numbers_count_what_is_known() -> None:
    truth = np.array([[1.0, 0.0], [0.0, np.nan], [1.0, 1.0], [0.0, 1.0]])
    shares = np.array([0.5, 0.6])
    outputs = np.array([[0.9, 0.1], [0.1, 9.0], [0.9, 0.9], [0.9, 0.9]])
    # of the first label one absence is missed; the second is right wherever it is known
    assert gains_of_labels(outputs, truth, shares).score == pytest.approx((0.75 + 1.0) / 2)
    numbers = np.array([[1.0], [2.0], [3.0], [np.nan]])
    assert gains_of_numbers(np.full((4, 1), 2.0), numbers).score == pytest.approx(0.0)
    assert gains_of_numbers(np.nan_to_num(numbers), numbers).score == pytest.approx(1.0)


def test_clusters_are_as_few_as_explain_the_values() -> None:
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(0.1, 0.01, 50), rng.normal(0.8, 0.01, 30)])[:, None]
    assert np.bincount(clusters(two)).tolist() == [50, 30]
    colours = np.repeat(np.eye(3), 20, axis=0) + rng.normal(0.0, 0.01, (60, 3))
    assert sorted(np.bincount(clusters(colours)).tolist()) == [20, 20, 20]
    assert clusters(np.ones((5, 1))).tolist() == [0] * 5
    assert len(np.unique(clusters(rng.uniform(size=(200, 3))))) == 4
