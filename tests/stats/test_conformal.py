"""Prediction sets keep their promise, count groups, and say when there are too few cases."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.conformal import (
    PredictionSets,
    TooFewCases,
    conformal_threshold,
    fewest_groups,
    fit_sets,
)


def test_the_threshold_is_the_order_statistic_of_split_conformal_prediction() -> None:
    random = np.random.default_rng(0)
    for n in (19, 20, 59, 200, 999):
        scores = random.normal(size=n)
        for level in (0.5, 0.9, 0.95):
            rank = int(np.ceil(level * (n + 1) - 1e-9))
            found = conformal_threshold(scores, np.arange(n), level=level)
            assert found == np.sort(scores)[rank - 1]


@pytest.mark.parametrize(("level", "needed"), [(0.95, 19), (0.99, 99), (0.9, 9), (0.5, 1)])
def test_too_few_groups_are_told_instead_of_a_threshold(level: float, needed: int) -> None:
    scores = np.linspace(0, 1, 5 * needed)
    assert fewest_groups(level) == needed
    few = conformal_threshold(scores, np.arange(5 * needed) % max(1, needed - 1), level=level)
    if needed > 1:
        assert few == TooFewCases(needed, needed - 1)
    enough = conformal_threshold(scores, np.arange(5 * needed) % needed, level=level)
    assert isinstance(enough, float)


def test_a_group_of_many_images_counts_as_one_case() -> None:
    # nineteen images, one of them photographed a hundred times: their order statistic is the same
    scores = np.arange(19, dtype=float)
    repeated = np.concatenate([scores, np.full(99, 3.0)])
    groups = np.concatenate([np.arange(19), np.full(99, 3)])
    assert conformal_threshold(repeated, groups) == conformal_threshold(scores, np.arange(19)) == 18


def test_images_of_new_groups_are_covered_where_images_alone_would_not_be() -> None:
    """Groups differ from each other: counted as images they promise too much."""
    random = np.random.default_rng(1)
    covered, naive = [], []
    for _ in range(400):
        middle = random.normal(size=31)
        sizes = np.r_[random.integers(1, 40, size=30), 1]
        groups = np.repeat(np.arange(31), sizes)
        scores = middle[groups] + 0.1 * random.normal(size=len(groups))
        known = groups < 30
        threshold = conformal_threshold(scores[known], groups[known], level=0.9)
        assert isinstance(threshold, float)
        covered.append(scores[~known].mean() <= threshold)
        of_images = conformal_threshold(scores[known], np.arange(known.sum()), level=0.9)
        assert isinstance(of_images, float)
        naive.append(scores[~known].mean() <= of_images)
    # 400 draws at 0.9 have a standard error of 1.5 points
    assert 0.87 <= np.mean(covered) <= 0.97
    assert np.mean(covered) >= np.mean(naive)


def _drawn(
    n: int, seed: int, shares: tuple[float, ...] = (0.6, 0.3, 0.1)
) -> tuple[FloatArray, IntArray]:
    random = np.random.default_rng(seed)
    truth = random.choice(len(shares), size=n, p=shares)
    logits = random.normal(size=(n, len(shares)))
    logits[np.arange(n), truth] += 1.5
    # calibrated or not: the promise does not turn on it
    powers = np.exp(3.0 * logits)
    return powers / powers.sum(axis=1, keepdims=True), truth


def test_sets_hold_the_truth_as_often_as_they_say_class_by_class() -> None:
    overall, rarest = [], []
    for seed in range(200):
        probabilities, truth = _drawn(1600, seed, (0.5, 0.3, 0.2))
        known, new = slice(0, 1200), slice(1200, None)
        sets = fit_sets(probabilities[known], truth[known], np.arange(1200), scoring="split")
        assert isinstance(sets, PredictionSets)
        assert sets.own == (True, True, True)
        held = sets.conforming(probabilities[new])[np.arange(400), truth[new]]
        overall.append(held.mean())
        rarest.append(held[truth[new] == 2].mean())
    assert 0.945 <= np.mean(overall) <= 0.965
    # pooled, the rarest class would pay for the others
    assert 0.94 <= np.mean(rarest) <= 0.975


def test_rare_classes_share_a_threshold_and_draw_in_others_where_they_are_too_few() -> None:
    probabilities, truth = _drawn(400, 0, (0.65, 0.3, 0.05))
    sets = fit_sets(probabilities, truth, np.arange(400), scoring="cross")
    assert isinstance(sets, PredictionSets)
    counts = np.bincount(truth)
    assert counts[2] >= 19
    assert sets.own == (True, True, False)
    # with fewer than 19 of it the smallest of the others joins: two classes share
    few = np.concatenate([np.flatnonzero(truth < 2), np.flatnonzero(truth == 2)[:5]])
    shared = fit_sets(probabilities[few], truth[few], few, scoring="cross")
    assert isinstance(shared, PredictionSets)
    assert shared.own == (True, False, False)
    assert shared.thresholds[1] == shared.thresholds[2]
    assert fit_sets(probabilities[:18], truth[:18], np.arange(18), scoring="cross") == TooFewCases(
        19, 18
    )


def test_no_set_is_empty_and_each_holds_the_answer() -> None:
    sets = PredictionSets((0.9, 0.2), (True, True), "split", 200, 200)
    probabilities = np.array([[0.85, 0.15], [0.7, 0.3], [0.95, 0.05]])
    assert sets.conforming(probabilities).tolist() == [[False, False], [False, True], [True, False]]
    assert sets.of(probabilities, probabilities.argmax(axis=1)).tolist() == [
        [True, False],
        [True, True],
        [True, False],
    ]


def test_thresholds_are_the_same_in_single_precision() -> None:
    probabilities, truth = _drawn(500, 3)
    sets = fit_sets(probabilities, truth, np.arange(500), scoring="split")
    assert isinstance(sets, PredictionSets)
    assert all(float(np.float32(t)) == t for t in sets.thresholds)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(InputError, match="one group for each score"):
        conformal_threshold(np.zeros(30), np.zeros(29))
    with pytest.raises(InputError, match="finite"):
        conformal_threshold(np.r_[np.zeros(30), np.nan], np.arange(31))
    with pytest.raises(InputError, match="between 0 and 1"):
        fewest_groups(1.0)
