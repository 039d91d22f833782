"""The score where a pattern is broken, from images in which it holds."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.arrays import IntArray
from frostline.stats.balanced_gains import BalancedGains, gains_of_classes
from frostline.stats.broken_pattern import broken_pattern

SHARES = np.array([0.5, 0.5])


def drawn(
    seed: int, *, follows: float, right: tuple[float, float]
) -> tuple[BalancedGains, IntArray, IntArray]:
    """Two classes, two values: images are right with another probability where they match."""
    rng = np.random.default_rng(seed)
    labels: IntArray = np.arange(400, dtype=np.int64) % 2
    values: IntArray = np.where(rng.random(400) < follows, labels, 1 - labels)
    hit = rng.random(400) < np.where(values == labels, right[0], right[1])
    decided = np.where(hit, labels, 1 - labels)
    return gains_of_classes(np.eye(2)[decided], labels, SHARES), values, labels[:, None]


def test_the_score_is_that_of_images_in_which_the_value_is_chance() -> None:
    misses = []
    for seed in range(100):
        found = broken_pattern(*drawn(seed, follows=0.9, right=(0.95, 0.3)))
        misses.append(not found.interval[0] <= (0.95 + 0.3) / 2 <= found.interval[1])
        assert found.fall > 0.1
        assert found.p_value < 1e-4
        assert found.common is not None
        assert found.rare is not None
        assert found.common > 0.9 > 0.6 > found.rare
    assert np.mean(misses) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)


def test_nothing_falls_where_the_value_makes_no_difference() -> None:
    alarms = [
        broken_pattern(*drawn(seed, follows=0.9, right=(0.8, 0.8))).p_value <= 0.05
        for seed in range(200)
    ]
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


def test_a_class_that_lacks_a_value_is_judged_by_those_it_has() -> None:
    labels = np.repeat([0, 1], 50)
    gains = gains_of_classes(np.eye(2)[labels], labels, SHARES)
    found = broken_pattern(gains, labels, labels[:, None])
    assert found.score == pytest.approx(1.0)
    assert found.common is None
    # that all are right on a hundred images is not certainty
    assert found.interval[0] < 0.99
