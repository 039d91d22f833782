"""Intervals against SciPy and against drawing images one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest

from frostline.errors import InputError
from frostline.evaluation.intervals import paired_difference, stratified_bootstrap, wilson


@pytest.mark.parametrize("k, n", [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (900, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_equals_scipy(k: int, n: int, level: float) -> None:
    expected = binomtest(k, n).proportion_ci(confidence_level=level, method="wilson")
    assert wilson(k, n, level=level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_known_values() -> None:
    assert wilson(90, 100) == pytest.approx((0.8256, 0.9448), abs=5e-5)


def test_wilson_needs_an_image() -> None:
    with pytest.raises(InputError, match="at least one image"):
        wilson(0, 0)


def _mean_recall(
    counts: npt.NDArray[Any], correct: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> Any:
    """Return balanced accuracy for every row of counts."""
    recalls = [
        counts[:, labels == c] @ correct[labels == c] / np.sum(labels == c)
        for c in np.unique(labels)
    ]
    return np.mean(recalls, axis=0)


def test_bootstrap_equals_drawing_images() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 5], [40, 15, 60])
    correct = rng.uniform(size=len(labels)) < np.repeat([0.9, 0.5, 0.7], [40, 15, 60])
    draws = []
    for _ in range(4000):
        recalls = [rng.choice(correct[labels == c], np.sum(labels == c)).mean() for c in (0, 1, 5)]
        draws.append(np.mean(recalls))
    expected = np.quantile(draws, [0.025, 0.975])
    found = stratified_bootstrap(
        lambda counts: _mean_recall(counts, correct, labels), labels, draws=10_000
    )
    np.testing.assert_allclose(found, expected, atol=0.012)


def test_bootstrap_follows_its_seed() -> None:
    labels = np.arange(60) % 3
    correct = np.arange(60) % 7 > 1

    def interval(seed: int) -> tuple[float, float]:
        return stratified_bootstrap(
            lambda counts: _mean_recall(counts, correct, labels), labels, seed=seed
        )

    assert interval(4) == interval(4)
    assert len({interval(seed) for seed in range(20)}) > 1


def test_paired_difference_is_the_paired_error() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=200) < 0.8, rng.uniform(size=200) < 0.7
    mean, error = paired_difference(a, b)
    difference = a.astype(float) - b
    assert mean == pytest.approx(difference.mean())
    assert error == pytest.approx(difference.std(ddof=1) / np.sqrt(200))
    assert paired_difference(a, a) == (0.0, 0.0)


def test_paired_difference_needs_images() -> None:
    with pytest.raises(InputError, match="at least one image"):
        paired_difference([], [])
