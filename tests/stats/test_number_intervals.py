"""Intervals of numbers hold the truth as often as they say, and say where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.errors import InputError
from frostline.stats.conformal import TooFewCases
from frostline.stats.number_intervals import NumberIntervals, fit_intervals


def test_the_radius_is_the_residual_that_conformal_prediction_names() -> None:
    residuals = np.arange(1.0, 20.0)[:, None]
    alone = np.arange(19)
    found = fit_intervals(np.zeros((19, 1)), -residuals, alone, scoring="cross")
    # the 18th smallest of 19 (0.9 of 20)
    assert found.radii == (18.0,)
    assert found.of(np.array([[2.0]])).tolist() == [[[-16.0, 20.0]]]


def test_columns_stand_for_themselves_and_unknown_numbers_are_left_out() -> None:
    truth = np.stack([np.arange(30.0), np.full(30, np.nan)], axis=1)
    truth[:8, 1] = 1.0
    found = fit_intervals(np.zeros((30, 2)), truth, np.arange(30), scoring="split")
    assert found.n_images == (30, 8)
    assert found.radii[1] == TooFewCases(needed=9, found=8)
    ends = found.of(np.zeros((1, 2)))[0]
    assert np.isfinite(ends[0]).all()
    assert np.isnan(ends[1]).all()


def test_images_of_one_group_are_no_independent_cases() -> None:
    truth = np.arange(40.0)[:, None]
    found = fit_intervals(np.zeros((40, 1)), truth, np.arange(40) // 5, scoring="cross")
    assert found.radii == (TooFewCases(needed=9, found=8),)


def test_coverage_is_what_is_stated_with_heavy_tails_and_groups() -> None:
    rng, covered = np.random.default_rng(0), []
    for _ in range(200):
        groups = np.repeat(np.arange(120), 2)
        noise = rng.standard_t(3, size=120)[groups] + 0.3 * rng.normal(size=240)
        learn = groups < 60
        found = fit_intervals(
            np.zeros((120, 1)), noise[learn][:, None], groups[learn], scoring="split"
        )
        ends = found.of(np.zeros((120, 1)))[:, 0]
        covered.append(np.mean((noise[~learn] >= ends[:, 0]) & (noise[~learn] <= ends[:, 1])))
    assert 0.89 < np.mean(covered) < 0.93


@pytest.mark.parametrize("radius", [-1.0, float("nan"), float("inf")])
def test_radii_that_are_none_are_refused(radius: float) -> None:
    with pytest.raises(InputError):
        NumberIntervals((radius,), "cross", (10,), (10,))
