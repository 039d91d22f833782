"""Differences of two models on the same images, and many of them at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from frostline.core.errors import InputError
from frostline.stats.intervals import student_quantile
from frostline.stats.paired import compare_paired, holm


def test_it_is_the_interval_of_bonett_and_price_for_paired_shares() -> None:
    a = np.array([1] * 80 + [0] * 20, dtype=float)
    b = np.array([1] * 70 + [0] * 10 + [1] * 15 + [0] * 5, dtype=float)
    won, lost, n = 15, 10, 100
    found = compare_paired(a, b)
    p_won, p_lost = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    error = math.sqrt((p_won + p_lost - (p_won - p_lost) ** 2) / (n + 2))
    reach = stats.t.ppf(0.975, n + 1) * error
    assert found.difference == pytest.approx((won - lost) / n)
    # they divide by n + 2, here the spread of so few groups is estimated
    assert found.interval == pytest.approx(
        (p_won - p_lost - reach, p_won - p_lost + reach), rel=0.02
    )


def test_models_that_agree_on_few_images_are_not_surely_alike() -> None:
    same = np.ones(20)
    low, high = compare_paired(same, same).interval
    assert low < -0.05
    assert high > 0.05
    wide = compare_paired(np.ones(2000), np.ones(2000)).interval
    assert wide[1] < 0.003


def test_groups_count_once() -> None:
    rng = np.random.default_rng(0)
    gained = rng.choice([-1.0, 0.0, 0.0, 1.0], size=60)
    groups = np.repeat(np.arange(60), 10)
    alone = compare_paired(np.zeros(60), gained)
    tenfold = compare_paired(np.zeros(600), np.repeat(gained, 10), groups=groups)
    assert tenfold.interval == pytest.approx(alone.interval)
    assert tenfold.p_value == pytest.approx(alone.p_value)
    assert (tenfold.n, tenfold.n_groups) == (600, 60)
    ungrouped = compare_paired(np.zeros(600), np.repeat(gained, 10))
    assert np.diff(ungrouped.interval) < 0.5 * np.diff(tenfold.interval)


@pytest.mark.parametrize("reach", [0.0, 1.0])
def test_p_values_are_those_of_student(reach: float) -> None:
    rng = np.random.default_rng(1)
    gained = rng.normal(0.3, 1.0, size=25)
    found = compare_paired(np.zeros(25), gained, reach=reach)
    if reach:
        gained = np.append(gained, [1.0, -1.0])
    expected = stats.ttest_1samp(gained, 0.0)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.02)
    for ends, level in ((found.interval, 0.95), (found.bounds, 0.9)):
        assert ends == pytest.approx(tuple(expected.confidence_interval(level)), abs=1e-3)


def test_a_single_group_tells_nothing() -> None:
    found = compare_paired([0.0, 0.0], [1.0, 2.0], groups=[0, 0], reach=0.0)
    assert found.p_value == 1.0
    assert found.interval == (-math.inf, math.inf)


def test_other_images_are_refused() -> None:
    with pytest.raises(InputError, match="same images"):
        compare_paired([1.0, 0.0], [1.0])


def test_half_of_tosses_lie_outside_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(2)
    misses = 0
    for _ in range(400):
        won = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9, 0.05], size=80)
        misses += compare_paired(np.zeros(80), won).p_value < 0.05
    assert misses / 400 < 0.06


def test_holm_multiplies_the_smallest_by_the_number_of_tests() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("freedom", "level"), [(5, 0.9), (30, 0.9), (30, 0.95)])
def test_student_reaches_as_far_at_any_level(freedom: int, level: float) -> None:
    expected = stats.t.ppf((1 + level) / 2, freedom)
    assert student_quantile(freedom, level) == pytest.approx(expected, rel=2e-3)
