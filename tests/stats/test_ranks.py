"""The same numbers as scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from frostline.stats.ranks import average_ranks, kendall_tau


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ranks_with_ties_are_those_of_scipy(axis: int) -> None:
    values = np.random.default_rng(axis).integers(0, 6, (7, 9, 5)) / 3
    np.testing.assert_array_equal(average_ranks(values, axis=axis), rankdata(values, axis=axis))


def test_tau_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    for n in (2, 3, 10, 40):
        one, other = random.integers(0, 5, n) / 4, random.integers(0, 5, n) / 4
        expected = kendalltau(one, other).statistic
        found = kendall_tau(one.tolist(), other.tolist())
        assert found is None if np.isnan(expected) else found == pytest.approx(expected)
    assert kendall_tau([1.0, 2.0, 3.0], [0.5, 0.5, 0.5]) is None
    assert kendall_tau([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == -1.0
