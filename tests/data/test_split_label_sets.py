"""Splits of images with several labels, and of numbers: laws checked by counting."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.core.errors import InputError
from frostline.data.splitting.stratified import separable, stratified_folds, stratified_holdout
from frostline.stats.quantile_strata import quantile_strata

Array = npt.NDArray[Any]
Rows = tuple[Array, Array, list[str]]


def _digests(n: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]


def _label_sets(n: int, n_labels: int, *, seed: int = 0) -> Array:
    """Labels of falling frequency, some of which come together."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, n_labels)) < 0.5 / np.arange(1, n_labels + 1)
    y[:, 1] |= y[:, -1]
    return y.astype(float)


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(4, 60))
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 4)) < rng.random(4)).astype(float)
    y[rng.random(y.shape) < 0.2] = np.nan
    return y, rng.integers(0, draw(st.integers(1, n)), n), _digests(n)


@settings(deadline=None, max_examples=150)
@given(rows(), st.floats(0.05, 0.5), st.integers(0, 5))
def test_holdout_keeps_groups_whole_and_labels_learnable(
    data: Rows, fraction: float, seed: int
) -> None:
    y, groups, digests = data
    rest, held = stratified_holdout(y, groups, digests, fraction=fraction, seed=seed)
    assert sorted([*rest, *held]) == list(range(len(y)))
    assert not set(groups[rest].tolist()) & set(groups[held].tolist())
    assert len(rest)
    for column in y.T:
        # the rarer answer is always left to learn from; it was there to begin with
        rarer = min((column > 0), (column == 0), key=np.sum)
        assert not rarer.any() or rarer[rest].any()


@settings(deadline=None, max_examples=150)
@given(rows(), st.integers(2, 6), st.integers(0, 5))
def test_folds_test_each_image_once_and_keep_groups_whole(
    data: Rows, n_folds: int, seed: int
) -> None:
    y, groups, digests = data
    if len(set(groups.tolist())) < 2:
        with pytest.raises(InputError, match="one group"):
            stratified_folds(y, groups, digests, n_folds=n_folds, seed=seed)
        return
    folds = stratified_folds(y, groups, digests, n_folds=n_folds, seed=seed)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(y)))
    for train, test in folds:
        assert len(train)
        assert len(test)
        assert not set(groups[train].tolist()) & set(groups[test].tolist())


def test_every_label_has_its_share_in_every_part() -> None:
    y = _label_sets(600, 12)
    groups, digests = np.arange(600), _digests(600)
    _, held = stratified_holdout(y, groups, digests, fraction=0.2, seed=0)
    share = y[held].sum(axis=0) / y.sum(axis=0)
    rng = np.random.default_rng(0)
    random = [y[rng.permutation(600)[: len(held)]].sum(axis=0) / y.sum(axis=0) for _ in range(50)]
    assert abs(len(held) - 120) <= 12
    assert np.abs(share - 0.2).mean() < np.abs(np.array(random) - 0.2).mean() / 2
    folds = stratified_folds(y, groups, digests, n_folds=5, seed=0)
    counts = np.array([y[test].sum(axis=0) for _, test in folds])
    assert np.ptp(counts, axis=0).max() <= 4
    assert np.ptp([len(test) for _, test in folds]) <= 6


def test_groups_stay_whole_and_shares_hold_for_groups_of_five() -> None:
    y, groups = _label_sets(120, 6).repeat(5, axis=0), np.repeat(np.arange(120), 5)
    _, held = stratified_holdout(y, groups, _digests(600), fraction=0.25, seed=0)
    assert np.all(np.bincount(groups[held]) % 5 == 0)
    assert np.allclose(y[held].sum(axis=0) / y.sum(axis=0), 0.25, atol=0.12)


def test_order_and_names_change_nothing_and_more_images_little() -> None:
    y, groups, digests = _label_sets(300, 8), np.arange(300), _digests(300)
    order = np.random.default_rng(1).permutation(300)
    mixed = [digests[i] for i in order]
    for split in (
        lambda a, g, d: {d[i] for i in stratified_holdout(a, g, d, fraction=0.2, seed=3)[1]},
        lambda a, g, d: {
            frozenset(d[i] for i in test)
            for _, test in stratified_folds(a, g, d, n_folds=4, seed=3)
        },
    ):
        assert split(y, groups, digests) == split(y[order], groups[order] + 7, mixed)
    _, before = stratified_holdout(y[:290], groups[:290], digests[:290], fraction=0.2, seed=3)
    _, after = stratified_holdout(y, groups, digests, fraction=0.2, seed=3)
    kept = len(set(before.tolist()) & set(after.tolist()))
    assert kept > 0.7 * len(before)
    _, other = stratified_holdout(y, groups, digests, fraction=0.2, seed=4)
    assert set(other.tolist()) != set(after.tolist())


def test_a_label_of_two_images_is_in_two_folds() -> None:
    y = _label_sets(40, 5)
    y[:, 4] = 0.0
    y[[3, 17], 4] = 1.0
    for seed in range(5):
        for train, _ in stratified_folds(y, np.arange(40), _digests(40), n_folds=3, seed=seed):
            assert y[train, 4].sum() == 1 or y[train, 4].sum() == 2
        _, held = stratified_holdout(y, np.arange(40), _digests(40), fraction=0.2, seed=seed)
        assert y[held, 4].sum() == 1


def test_what_can_be_told_apart() -> None:
    groups = np.array([0, 0, 1, 1])
    assert not separable(np.array([[1.0], [1.0], [0.0], [0.0]]), groups)
    assert separable(np.array([[1.0], [0.0], [0.0], [1.0]]), groups)
    assert not separable(np.array([[1.0], [np.nan], [np.nan], [1.0]]), groups)
    assert separable(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]), groups)


def test_numbers_become_ranges_of_about_equal_size() -> None:
    values = np.random.default_rng(0).lognormal(size=200)
    strata = quantile_strata(values)
    assert np.bincount(strata).tolist() == [20] * 10
    assert np.all(np.diff(strata[np.argsort(values)]) >= 0)
    assert len(np.unique(quantile_strata(values[:35]))) == 3
    assert len(np.unique(quantile_strata(np.full(100, 2.5)))) == 1
    many = np.concatenate([np.zeros(150), values[:50]])
    assert np.all(quantile_strata(many)[:150] == quantile_strata(many)[0])
    some = np.where(np.arange(200) % 4 == 0, np.nan, values)
    unknown = quantile_strata(some)
    assert len(set(unknown[::4].tolist())) == 1
    assert not set(unknown[::4].tolist()) & set(np.delete(unknown, np.s_[::4]).tolist())
    assert len(quantile_strata(np.full(5, np.nan))) == 5


def test_numbers_have_the_same_law_in_every_part() -> None:
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=500), rng.exponential(size=500)])
    strata = quantile_strata(values)
    assert np.all(strata.sum(axis=1) == 2)
    for truth in (quantile_strata(values[:, 0]), strata):
        _, held = stratified_holdout(truth, np.arange(500), _digests(500), fraction=0.2, seed=0)
        ranks = np.argsort(np.argsort(values[:, 0]))[held] / 500
        # the distribution of the held-out numbers is that of all, closer than chance would bring it
        assert np.abs(np.sort(ranks) - (np.arange(len(held)) + 0.5) / len(held)).max() < 0.05
