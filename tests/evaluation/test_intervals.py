"""Intervals against SciPy and against drawing images one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from frostline.errors import InputError
from frostline.evaluation.intervals import paired_difference, stratified_bootstrap, wilson


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
