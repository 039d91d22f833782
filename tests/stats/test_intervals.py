"""Intervals against SciPy and against drawing images one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from frostline.core.errors import InputError
from frostline.stats.intervals import (
    effective_count,
    paired_difference,
    stratified_bootstrap,
    wilson,
)


@pytest.mark.parametrize("k, n", [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (900, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_equals_scipy(k: int, n: int, level: float) -> None:
    expected = binomtest(k, n).proportion_ci(confidence_level=level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_known_values() -> None:
    assert wilson(90, 100) == pytest.approx((0.8256, 0.9448), abs=5e-5)


@pytest.mark.parametrize("k, n, level", [(0, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_rejects(k: int, n: int, level: float) -> None:
    with pytest.raises(InputError):
        wilson(k, n, level)


def test_bootstrap_equals_drawing_images() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 5], [40, 15, 60])
    correct = rng.uniform(size=len(labels)) < np.repeat([0.9, 0.5, 0.7], [40, 15, 60])
    draws = []
    for _ in range(4000):
        recalls = [rng.choice(correct[labels == c], np.sum(labels == c)).mean() for c in (0, 1, 5)]
        draws.append(np.mean(recalls))
    expected = np.quantile(draws, [0.025, 0.975])
    found = stratified_bootstrap(correct, labels, n_resamples=20_000)
    np.testing.assert_allclose(found, expected, atol=0.012)


def test_bootstrap_follows_its_seed() -> None:
    labels = np.arange(60) % 3
    correct = np.arange(60) % 7 > 1
    first = stratified_bootstrap(correct, labels, seed=4)
    assert first == stratified_bootstrap(correct, labels, seed=4)
    others = {stratified_bootstrap(correct, labels, seed=seed) for seed in range(20)}
    assert len(others) > 1


def test_bootstrap_never_pretends_to_certainty() -> None:
    one_class = stratified_bootstrap(np.ones(20), np.zeros(20, dtype=int))
    assert one_class == pytest.approx(wilson(20, 20))
    labels = np.repeat([0, 1], [50, 5])
    low, high = stratified_bootstrap(labels == 0, labels)
    assert 0.3 < low < 0.5 < high < 0.8


def test_bootstrap_rejects() -> None:
    with pytest.raises(InputError, match="at least one image"):
        stratified_bootstrap([], [])
    with pytest.raises(InputError, match="resamples"):
        stratified_bootstrap([True], [0], n_resamples=0)
    with pytest.raises(InputError, match="level"):
        stratified_bootstrap([True], [0], level=2.0)


def test_paired_difference_is_the_paired_error() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=200) < 0.8, rng.uniform(size=200) < 0.7
    mean, error = paired_difference(a, b)
    difference = a.astype(float) - b
    assert mean == pytest.approx(difference.mean())
    assert error == pytest.approx(difference.std(ddof=1) / np.sqrt(200))
    assert paired_difference(a, a) == (0.0, 0.0)


def test_paired_difference_counts_groups() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=50) < 0.8, rng.uniform(size=50) < 0.7
    repeated = paired_difference(np.repeat(a, 4), np.repeat(b, 4), groups=np.arange(200) // 4)
    assert repeated == pytest.approx(paired_difference(a, b))


def test_paired_difference_rejects() -> None:
    with pytest.raises(InputError, match="same images"):
        paired_difference([1, 0], [1])
    with pytest.raises(InputError, match="groups"):
        paired_difference([1, 0], [1, 1], groups=[3])
    with pytest.raises(InputError):
        paired_difference([], [])


def test_one_image_tells_nothing_about_the_error() -> None:
    assert paired_difference([1], [0]) == (1.0, np.inf)
    assert paired_difference([1, 0], [0, 0], groups=[3, 3]) == (0.5, np.inf)


def test_rare_classes_without_a_mistake_do_not_pretend_to_certainty() -> None:
    rng = np.random.default_rng(0)
    counts, truth = np.array([400, 4]), np.array([0.97, 0.75])
    held = []
    for seed in range(200):
        hits = rng.binomial(counts, truth)
        correct = np.concatenate([np.arange(n) < k for n, k in zip(counts, hits, strict=True)])
        low, high = stratified_bootstrap(
            correct, np.repeat([0, 1], counts), n_resamples=500, seed=seed
        )
        held.append(low <= truth.mean() <= high)
    # a third of these draws have no mistake in the rare class
    assert np.mean(held) > 0.93


def test_images_that_belong_together_count_for_less() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 10)
    apart, held, plain = np.arange(600), [], []
    for _ in range(300):
        # groups of ten are right nearly together: by 85 % on average
        chance = rng.beta(0.85, 0.15, 60)
        correct = rng.random(600) < np.repeat(chance, 10)
        right = float(correct.mean())
        worth = effective_count(correct, groups)
        low, high = wilson(right * worth, worth)
        held.append(low <= 0.85 <= high)
        low, high = wilson(right * 600, 600)
        plain.append(low <= 0.85 <= high)
        assert effective_count(correct, apart) == 600
    assert 0.92 < np.mean(held) < 0.98
    assert np.mean(plain) < 0.7


def test_the_effective_count_stays_within_reason() -> None:
    repeated = np.repeat(np.arange(40) % 5 > 0, 10)
    of = np.repeat(np.arange(40), 10)
    assert 35 < effective_count(repeated, of) < 41
    # nothing tells how alike images of a group are where all are right
    assert effective_count(np.ones(400), of) == 40
    assert effective_count([True, False, True], [7, 7, 7]) == 1
