"""Distances from training features: small for their like, large for everything else."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from frostline.core.errors import InputError
from frostline.stats.ood import MOST, OODScorer, fit_ood_scorer
from frostline.stats.rejection import acceptance_threshold


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Handwritten digits below 5 in two parts, and those from 5 on."""
    data = load_digits()
    own, others = data.data[data.target < 5], data.data[data.target >= 5]
    order = np.random.default_rng(0).permutation(len(own))
    return own[order[:450]], own[order[450:]], others


def settled(X: np.ndarray, held: np.ndarray) -> OODScorer:
    found = fit_ood_scorer(X)
    distances = found.distances(held)
    found = found.normalised_by(distances)
    return found.with_threshold(acceptance_threshold(found.score_of(distances)))


def test_the_threshold_is_one_and_strangers_lie_beyond() -> None:
    learn, held, others = digits()
    found = settled(learn, held[:200])
    fresh = found.scores(held[200:])
    assert 0.9 <= np.mean(fresh <= 1.0) <= 0.99
    assert np.mean(found.scores(others) > 1.0) > 0.3
    noise = np.random.default_rng(1).uniform(0, 16, (100, 64))
    assert np.all(found.scores(noise) > 1.0)
    assert found.score_of(np.full((1, 2), 1e30)) == pytest.approx(MOST)


def test_both_parts_are_what_they_say() -> None:
    learn, held, _ = digits()
    found = fit_ood_scorer(learn, blocks=[slice(0, 40), slice(40, 64)])
    for place, region in enumerate(found.regions):
        span = slice(region.start, region.stop)
        z = (np.log1p(held[:, span] / region.unit) - region.mean) * region.scale
        axes = region.axes.astype(np.float64)
        np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-5)
        y = z @ axes
        each = np.sort(np.square(y[:, None] - region.known[None]).sum(axis=2), axis=1)
        off = np.square(z - y @ axes.T).sum(axis=1)
        own = found.distances(held)[:, 2 * place : 2 * place + 2]
        np.testing.assert_allclose(own, np.c_[each[:, 2], off], rtol=1e-4, atol=1e-5)


def test_the_score_is_a_geometric_mean_of_distances() -> None:
    learn, held, others = digits()
    found = settled(learn, held)
    distances = found.distances(others)
    # twice as far in every respect is twice as unfamiliar
    far = distances * 4
    np.testing.assert_allclose(found.score_of(far), 2 * found.score_of(distances), rtol=1e-5)
    assert found.weights.sum() == pytest.approx(1.0)
    # a copy of a training image is familiar, not infinitely so
    assert np.all(found.score_of(np.zeros_like(distances)) > 0.01)


def test_the_unit_of_features_plays_no_role() -> None:
    learn, held, others = digits()
    np.testing.assert_allclose(
        settled(learn, held).scores(others),
        settled(1e4 * learn, 1e4 * held).scores(1e4 * others),
        rtol=1e-3,
    )


@pytest.mark.parametrize(("n", "d"), [(2, 8), (12, 3000), (40, 5), (400, 12), (30, 9000)])
def test_any_shape_gives_finite_scores_and_few_numbers(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, d)).astype(np.float32)
    X[:, 0] = 3.0
    found = fit_ood_scorer(X)
    found = found.normalised_by(found.distances(rng.normal(size=(20, d))))
    assert np.all(np.isfinite(found.scores(rng.normal(size=(5, d)))))
    axes = found.regions[0].axes
    assert axes.size <= 400_000
    assert axes.shape[1] <= max(1, n // 3)


def test_what_cannot_be_described_is_said() -> None:
    with pytest.raises(InputError, match="same features"):
        fit_ood_scorer(np.ones((20, 6)))
    with pytest.raises(InputError, match="not finite"):
        fit_ood_scorer(np.full((20, 6), np.nan))
    found = fit_ood_scorer(np.random.default_rng(0).normal(size=(20, 6)))
    with pytest.raises(InputError, match=r"shape \(n, 6\)"):
        found.scores(np.zeros((2, 7)))


def test_a_single_block_is_compared_by_its_direction() -> None:
    learn, held, others = digits()
    found = settled(learn, held)
    np.testing.assert_allclose(found.scores(0.01 * others), found.scores(others), rtol=1e-3)
    # as in trained layers: classes are far apart, and what is foreign excites little of anything
    rng = np.random.default_rng(0)
    centres = np.abs(rng.normal(size=(4, 300))) * (rng.random((4, 300)) < 0.1)
    X = np.abs(centres[np.arange(600) % 4] * 5 + 0.3 * rng.normal(size=(600, 300)))
    foreign = 0.1 * np.abs(rng.normal(size=(50, 300)))
    assert np.all(settled(X[:400], X[400:]).scores(foreign) > 1.0)
