"""The head of a ranking, what a label changes in it, and which images are chosen."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.errors import InputError
from frostline.stats import pool_ranking
from frostline.stats.gain_forecast import LastDoubling, forecast_gain, last_doubling_of
from frostline.stats.pool_head import PoolHead, common_rows, fit_pool_head
from frostline.stats.pool_ranking import PoolRanking

N_CLASSES = 3


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping clusters in 20 dimensions: rows and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, N_CLASSES, 260)
    middles = rng.normal(size=(N_CLASSES, 20))
    return common_rows(middles[labels] + rng.normal(size=(260, 20))), labels


@pytest.fixture(scope="module")
def head(drawn: tuple[np.ndarray, np.ndarray]) -> PoolHead:
    return fit_pool_head(drawn[0][:60], drawn[1][:60], N_CLASSES)


def solved(rows: np.ndarray, labels: np.ndarray, penalty: float, new: np.ndarray) -> np.ndarray:
    """Ridge in its primal form, by another way than the head's."""
    targets = np.eye(N_CLASSES)[labels] - 1.0 / N_CLASSES
    x = rows.astype(np.float64)
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ targets)
    return new.astype(np.float64) @ weight + 1.0 / N_CLASSES


def test_outputs_are_those_of_ridge(drawn: tuple[np.ndarray, np.ndarray], head: PoolHead) -> None:
    rows, labels = drawn
    expected = solved(rows[:60], labels[:60], head.penalty, rows[60:])
    np.testing.assert_allclose(head.outputs(rows[60:]), expected, atol=1e-5)


def test_left_out_outputs_are_those_of_fits_without_the_group(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    rows, labels = drawn[0][:60], drawn[1][:60]
    groups = np.arange(60)
    groups[[3, 17, 40]] = 3
    head = fit_pool_head(rows, labels, N_CLASSES, groups=groups)
    for group in (0, 3):
        out = groups == group
        expected = solved(rows[~out], labels[~out], head.penalty, rows[out])
        np.testing.assert_allclose(head.loo[out], expected, atol=1e-5)


def test_a_label_changes_outputs_as_the_gain_says(
    drawn: tuple[np.ndarray, np.ndarray], head: PoolHead
) -> None:
    """The covariance is that of the rank-one update: a refit with the label agrees."""
    rows, labels = drawn
    pool = rows[60:]
    ranking = PoolRanking(head, pool, np.arange(len(pool)))
    before = head.outputs(pool)
    for at in (0, 7):
        cov = ranking._covariance[at]
        moved = cov / (ranking._variance[at] + head.penalty)
        error = np.eye(N_CLASSES)[labels[60 + at]] - before[at]
        both = np.concatenate([rows[:60], pool[at : at + 1]])
        told = np.append(labels[:60], labels[60 + at])
        after = solved(both, told, head.penalty, pool)
        np.testing.assert_allclose(after - before, moved[:, None] * error, atol=1e-5)


def test_what_follows_knows_what_was_chosen(
    drawn: tuple[np.ndarray, np.ndarray], head: PoolHead
) -> None:
    pool = drawn[0][60:]
    ranking = PoolRanking(head, pool, np.arange(len(pool)))
    ranking.covering = False
    first = ranking.take()
    assert first is not None
    # the covariance is the one of a head that has the image as well
    known = np.concatenate([head.known, pool[first[0] : first[0] + 1]]).astype(np.float64)
    gram = known @ known.T + head.penalty * np.eye(len(known))
    cross = pool.astype(np.float64) @ known.T
    exact = pool.astype(np.float64) @ pool.T - cross @ np.linalg.solve(gram, cross.T)
    np.testing.assert_allclose(ranking._covariance, exact, atol=1e-4)
    np.testing.assert_allclose(ranking._variance, np.diag(exact), atol=1e-4)


@pytest.mark.parametrize("n_labelled", [9, 60])
def test_no_image_is_chosen_twice_and_copies_are_not_chosen_together(
    drawn: tuple[np.ndarray, np.ndarray], n_labelled: int
) -> None:
    rows, labels = drawn
    head = fit_pool_head(rows[:n_labelled], labels[:n_labelled], N_CLASSES)
    pool = np.concatenate([rows[60:100], rows[60:100]])
    ranking = PoolRanking(head, pool, np.arange(len(pool)))
    assert ranking.covering == (n_labelled == 9)
    chosen = [found[0] for _ in range(20) if (found := ranking.take())]
    assert len(set(chosen)) == 20
    # by gains alone every image would come with its copy
    assert len({at % 40 for at in chosen}) > 10
    rest = [found for _ in range(100) if (found := ranking.take())]
    assert len(rest) == 60


def test_of_a_large_pool_the_likeliest_are_looked_at(
    drawn: tuple[np.ndarray, np.ndarray], head: PoolHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = drawn[0][60:]
    every = PoolRanking(head, pool, np.arange(len(pool)))
    every.covering = False
    monkeypatch.setattr(pool_ranking, "MOST_CANDIDATES", 50)
    some = PoolRanking(head, pool, np.arange(len(pool)))
    some.covering = False
    assert len(some.gains()) == 50
    assert every.take() == pytest.approx(some.take())


def test_the_last_doubling_is_what_more_labels_bring(
    drawn: tuple[np.ndarray, np.ndarray], head: PoolHead
) -> None:
    past = last_doubling_of(head, drawn[1][:60], N_CLASSES, np.arange(60), np.random.default_rng(0))
    assert past.accuracy == np.mean(head.loo.argmax(axis=1) == drawn[1][:60])
    # noise of 60 images aside, half as many labels are not better
    assert 0.0 <= past.gain < 0.3


def test_labels_that_confirm_what_is_known_are_expected_to_bring_nothing() -> None:
    right = np.repeat([True, False], [80, 20])
    past = LastDoubling(right, right * 0.9, np.arange(100))
    telling = forecast_gain(past, np.full(100, 0.2), 0.2)
    confirming = forecast_gain(past, np.full(100, 0.001), 0.001)
    assert telling.gain > 10 * confirming.gain
    assert telling.worth_it
    assert not confirming.worth_it
    assert forecast_gain(past, np.empty(0), 0.2).gain == 0.0


def test_one_group_teaches_nothing(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError, match="All rows are in one group"):
        fit_pool_head(drawn[0][:4], drawn[1][:4], N_CLASSES, groups=np.zeros(4))
