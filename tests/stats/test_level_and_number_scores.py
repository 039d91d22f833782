"""Scores of levels and of numbers against scikit-learn, slow versions and repeated draws."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics

from frostline.core.errors import InputError
from frostline.stats.ordinal_scores import median_levels, score_levels
from frostline.stats.regression_scores import score_numbers

Array = npt.NDArray[Any]


def _levels(n: int, *, seed: int, n_levels: int = 5) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_levels, n)
    seen = y + rng.normal(size=n)
    p = np.exp(-((seen[:, None] - np.arange(n_levels)) ** 2) / 2.0)
    return p / p.sum(axis=1, keepdims=True), y


def _numbers(n: int, *, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 2)) * [1.0, 20.0] + [0.0, 300.0]
    return y + rng.standard_t(6, size=y.shape) * [0.5, 4.0], y


def test_scores_of_levels_equal_scikit_learn() -> None:
    p, y = _levels(300, seed=0)
    guess = p.argmax(axis=1)
    found = score_levels(p, y, answers=guess)
    assert found.qwk == pytest.approx(metrics.cohen_kappa_score(y, guess, weights="quadratic"))
    assert found.mae == pytest.approx(metrics.mean_absolute_error(y, guess))
    assert found.within_one == pytest.approx(np.mean(np.abs(guess - y) <= 1))
    slow = [
        sum((row[: c + 1].sum() - (t <= c)) ** 2 for c in range(4)) / 4
        for row, t in zip(p, y, strict=True)
    ]
    assert found.rps == pytest.approx(np.mean(slow))
    json.dumps(found.to_json(), allow_nan=False)


def test_the_median_is_answered_and_costs_least() -> None:
    p, y = _levels(400, seed=1)
    median = median_levels(p)
    expected = np.abs(np.arange(5)[:, None] - np.arange(5)) @ p.T
    rows = np.arange(len(p))
    assert np.allclose(expected[median, rows], expected.min(axis=0))
    assert score_levels(p, y) == score_levels(p, y, answers=median)
    assert median_levels(np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])).tolist() == [0, 2]


def test_intervals_of_levels_hold_the_truth_and_know_groups() -> None:
    truth = score_levels(*_levels(100_000, seed=0))
    names = ("qwk", "mae", "rps", "within_one")
    held = dict.fromkeys(names, 0)
    for seed in range(1, 201):
        found = score_levels(*_levels(60, seed=seed))
        for name in names:
            low, high = getattr(found, f"{name}_interval")
            held[name] += low <= getattr(truth, name) <= high
    assert all(count >= 180 for count in held.values()), held
    p, y = _levels(60, seed=1)
    once = score_levels(p, y)
    fourfold = score_levels(p.repeat(4, axis=0), y.repeat(4), groups=np.arange(240) // 4)
    for name in names:
        assert getattr(fourfold, f"{name}_interval") == pytest.approx(
            getattr(once, f"{name}_interval"), abs=0.01
        )


def test_perfect_levels_do_not_pretend_to_certainty() -> None:
    y = np.array([0, 1, 2, 1, 0, 2])
    found = score_levels(np.eye(3)[y], y)
    assert (found.qwk, found.mae, found.rps, found.within_one) == (1.0, 0.0, 0.0, 1.0)
    assert found.qwk_interval[0] < 0.6
    assert found.mae_interval[1] > 0.3
    same = score_levels(np.eye(3)[[1, 1]], [1, 1])
    assert math.isnan(same.qwk)
    assert same.to_json()["qwk_interval"] is None


@pytest.mark.parametrize(
    ("p", "y"),
    [
        (np.full((3, 2), 0.5), [0, 1, 2]),
        (np.full((3, 2), 0.5), [0, 1]),
        (np.full((3, 2), 0.4), [0, 1, 1]),
        (np.ones((3, 1)), [0, 0, 0]),
        (np.zeros((0, 3)), []),
    ],
)
def test_what_are_no_levels_is_refused(p: Array, y: list[int]) -> None:
    with pytest.raises(InputError):
        score_levels(p, np.array(y, dtype=np.int64))


def test_scores_of_numbers_equal_scikit_learn() -> None:
    p, y = _numbers(200, seed=0)
    found = score_numbers(p, y)
    assert found.r2 == pytest.approx(metrics.r2_score(y, p))
    assert found.mae == pytest.approx(metrics.mean_absolute_error(y, p))
    for c, one in enumerate(found.per_column):
        assert one.r2 == pytest.approx(metrics.r2_score(y[:, c], p[:, c]))
        assert one.mae == pytest.approx(metrics.mean_absolute_error(y[:, c], p[:, c]))
        assert one.rmse == pytest.approx(metrics.root_mean_squared_error(y[:, c], p[:, c]))
        truths = [point[0] for point in one.points]
        assert truths == sorted(y[:, c])
        assert set(one.points) <= set(zip(y[:, c].tolist(), p[:, c].tolist(), strict=True))
    alone = score_numbers(p[:, 0], y[:, 0])
    assert alone.per_column[0] == found.per_column[0]
    assert alone.r2_interval == pytest.approx(alone.per_column[0].r2_interval)
    assert alone.mae_interval == pytest.approx(alone.per_column[0].mae_interval)


def test_unknown_numbers_play_no_part() -> None:
    p, y = _numbers(100, seed=1)
    y[:40, 1] = np.nan
    found = score_numbers(p, y)
    assert found.per_column[1].n == 60
    assert found.r2 == pytest.approx(
        (metrics.r2_score(y[:, 0], p[:, 0]) + metrics.r2_score(y[40:, 1], p[40:, 1])) / 2
    )
    y[:, 1] = np.nan
    y[:, 0] = 3.0
    nothing = score_numbers(p, y)
    assert math.isnan(nothing.r2)
    assert nothing.mae == pytest.approx(np.mean(np.abs(p[:, 0] - 3.0)))
    written = json.dumps(nothing.to_json(["a", "b"]), allow_nan=False)
    assert json.loads(written)["per_column"][1]["mae"] is None


def test_intervals_of_numbers_hold_the_truth_and_know_groups() -> None:
    truth = score_numbers(*_numbers(200_000, seed=0))
    names = ("r2", "mae")
    held = dict.fromkeys(names, 0)
    for seed in range(1, 201):
        found = score_numbers(*_numbers(60, seed=seed))
        for name in names:
            low, high = getattr(found, f"{name}_interval")
            held[name] += low <= getattr(truth, name) <= high
    assert all(count >= 180 for count in held.values()), held
    p, y = _numbers(60, seed=1)
    once = score_numbers(p, y)
    fourfold = score_numbers(p.repeat(4, axis=0), y.repeat(4, axis=0), groups=np.arange(240) // 4)
    for name in names:
        assert getattr(fourfold, f"{name}_interval") == pytest.approx(
            getattr(once, f"{name}_interval"), rel=0.01
        )


@pytest.mark.parametrize(
    ("p", "y", "told"),
    [
        (np.zeros(3), np.zeros(2), "shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one"),
        (np.array([np.nan, 1.0]), np.zeros(2), "finite"),
        (np.zeros(2), np.array([np.inf, 1.0]), "finite"),
    ],
)
def test_numbers_that_cannot_be_scored_are_refused(p: Array, y: Array, told: str) -> None:
    with pytest.raises(InputError, match=told):
        score_numbers(p, y)
