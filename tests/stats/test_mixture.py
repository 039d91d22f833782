"""Weights of an average of forecasts are where its log score and the prior agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize

from frostline.core.errors import InputError
from frostline.stats.mixture import log_score, mixture_weights

PRIOR = np.array([0.5, 0.25, 0.25])


def forecasts(n: int, seed: int = 0) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.stack([rng.beta(4, 2, n), rng.beta(2, 2, n), rng.beta(1, 3, n)])


@pytest.mark.parametrize("strength", [0.5, 10.0, 100.0])
def test_no_other_weights_are_better(strength: float) -> None:
    p_true = forecasts(80)

    def cost(free: npt.NDArray[np.float64]) -> float:
        weights = np.exp(free - free.max())
        weights /= weights.sum()
        return -float(np.log(weights @ p_true).sum() + strength * PRIOR @ np.log(weights))

    best = minimize(
        cost, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    expected = np.exp(best.x - best.x.max())
    found = mixture_weights(p_true, PRIOR, strength=strength)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-4)


def test_evidence_moves_the_prior_as_far_as_it_goes() -> None:
    leads = [
        mixture_weights(forecasts(n), PRIOR, strength=30.0)[0] - PRIOR[0] for n in (1, 30, 1000)
    ]
    assert 0 < leads[0] < leads[1] < leads[2]
    np.testing.assert_allclose(mixture_weights(np.zeros((3, 0)), PRIOR, strength=30.0), PRIOR)


def test_images_of_a_group_count_as_one() -> None:
    p_true = forecasts(20)
    once = mixture_weights(p_true, PRIOR, strength=5.0)
    often = np.repeat(p_true, 7, axis=1)
    groups = np.repeat(np.arange(20), 7)
    np.testing.assert_allclose(
        mixture_weights(often, PRIOR, strength=5.0, groups=groups), once, atol=1e-6
    )
    assert mixture_weights(often, PRIOR, strength=5.0)[0] > once[0] + 0.02
    uneven = np.repeat(np.arange(20), np.arange(1, 21))
    assert log_score(np.repeat(p_true[0], np.arange(1, 21)), uneven) == pytest.approx(
        log_score(p_true[0])
    )


def test_a_forecast_that_rules_the_truth_out_is_not_lost_for_one_image() -> None:
    p_true = np.full((2, 50), 0.5)
    p_true[0, 0] = 0.0
    weights = mixture_weights(p_true, [0.5, 0.5], strength=10.0)
    assert 0.4 < weights[0] < 0.5
    assert np.isfinite(log_score(np.zeros(3)))


@pytest.mark.parametrize(
    ("prior", "strength"), [([1.0], 1.0), ([0.5, 0.6], 1.0), ([1.0, 0.0], 1.0), ([0.5, 0.5], -1.0)]
)
def test_what_is_no_prior_is_refused(prior: list[float], strength: float) -> None:
    with pytest.raises(InputError):
        mixture_weights(np.full((2, 4), 0.5), prior, strength=strength)
