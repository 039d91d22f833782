"""Probabilities for other shares of classes are those that Bayes' rule gives."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.label_shift import estimated_shares, reweighted


def _told(x: FloatArray, shares: FloatArray) -> FloatArray:
    """Posterior for classes that are normal laws around 0 and 2."""
    density = np.exp(-0.5 * (x[:, None] - np.array([0.0, 2.0])) ** 2) * shares
    return np.asarray(density / density.sum(axis=1, keepdims=True))


def _images(n: int, share: float, seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    return random.normal(size=n) + 2.0 * (random.random(n) < share)


def test_probabilities_are_those_of_a_model_that_knew_the_shares() -> None:
    x, before, after = _images(100, 0.5, 0), np.array([0.5, 0.5]), np.array([0.98, 0.02])
    found = reweighted(_told(x, before), before, after)
    np.testing.assert_allclose(found, _told(x, after), rtol=1e-12)


def test_absent_classes_are_never_answered() -> None:
    before = np.array([0.5, 0.3, 0.2])
    found = reweighted(
        np.array([[0.8, 0.2, 0.0], [1.0, 0.0, 0.0]]), before, np.array([0, 0.5, 0.5])
    )
    np.testing.assert_allclose(found, [[0.0, 1.0, 0.0], [0.0, 0.5, 0.5]])


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_shares_are_found_in_unlabelled_images(share: float) -> None:
    before = np.array([0.5, 0.5])
    found = estimated_shares(_told(_images(4000, share, 1), before), before)
    assert abs(found[1] - share) < 0.03
    assert found.sum() == pytest.approx(1.0)


def test_nothing_can_be_estimated_from_nothing() -> None:
    with pytest.raises(InputError, match="at least one image"):
        estimated_shares(np.zeros((0, 2)), np.array([0.5, 0.5]))
