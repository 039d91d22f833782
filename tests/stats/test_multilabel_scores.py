"""Scores of several labels against scikit-learn, slow versions and repeated draws."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from frostline.core.errors import InputError
from frostline.stats.label_ranking import area_under_roc, average_precision
from frostline.stats.label_thresholds import best_thresholds
from frostline.stats.multilabel_scores import score_labels
from frostline.stats.precision_intervals import mean_average_precision, precision_among_others

Array = npt.NDArray[Any]


def _draw(n: int, shares: Array, *, seed: int, coarse: bool = False) -> tuple[Array, Array]:
    """Labels, and calibrated probabilities of them; ``coarse``: many of these are equal."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, len(shares))) < shares
    seen = rng.normal(size=truth.shape) + 2.0 * truth
    odds = 2.0 * seen - 2.0 + np.log(shares / (1.0 - shares))
    p = 1.0 / (1.0 + np.exp(-odds))
    return (np.round(p, 1) if coarse else p), truth.astype(float)


SHARES = np.array([0.3, 0.5, 0.1, 0.2])


@pytest.mark.parametrize("coarse", [False, True])
def test_scores_equal_scikit_learn(coarse: bool) -> None:
    p, y = _draw(200, SHARES, seed=1, coarse=coarse)
    limits = np.array([0.3, 0.5, 0.2, 0.4])
    found, called = score_labels(p, y, thresholds=limits), p >= limits
    assert found.mean_average_precision == pytest.approx(
        metrics.average_precision_score(y, p, average="macro")
    )
    assert found.micro_f1 == pytest.approx(metrics.f1_score(y, called, average="micro"))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(y, called, average="macro"))
    assert found.exact_match == pytest.approx(metrics.accuracy_score(y, called))
    losses = [metrics.log_loss(y[:, c], p[:, c]) for c in range(4)]
    assert found.nll == pytest.approx(np.mean(losses))
    assert found.brier == pytest.approx(np.mean((p - y) ** 2))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(y, called)
    for c, one in enumerate(found.per_class):
        assert one.average_precision == pytest.approx(
            metrics.average_precision_score(y[:, c], p[:, c])
        )
        assert one.area_under_roc == pytest.approx(metrics.roc_auc_score(y[:, c], p[:, c]))
        assert (one.precision, one.recall, one.f1) == pytest.approx(
            (precision[c], recall[c], f1[c])
        )
        assert (one.known, one.positives) == (200, support[c])


def test_what_is_unknown_plays_no_part() -> None:
    p, y = _draw(150, SHARES, seed=2)
    known = np.random.default_rng(0).random(y.shape) < 0.7
    partly = np.where(known, y, np.nan)
    found = score_labels(p, partly)
    own = [
        metrics.average_precision_score(y[rows, c], p[rows, c]) for c, rows in enumerate(known.T)
    ]
    assert found.mean_average_precision == pytest.approx(np.mean(own))
    assert found.n_known == known.sum()
    assert found.micro_f1 == pytest.approx(metrics.f1_score(y[known], p[known] >= 0.5))
    # and neither does what is predicted there
    assert score_labels(np.where(known, p, 0.9), partly) == found


def test_a_class_without_a_positive_is_in_no_mean() -> None:
    p, y = _draw(80, SHARES, seed=3)
    y[:, 2] = 0.0
    y[:, 3] = np.nan
    found = score_labels(p, y)
    assert found.mean_average_precision == pytest.approx(
        metrics.average_precision_score(y[:, :2], p[:, :2])
    )
    assert math.isnan(found.per_class[2].average_precision)
    assert math.isnan(found.per_class[2].area_under_roc)
    assert found.per_class[3].known == 0
    written = json.loads(json.dumps(found.to_json(list("abcd")), allow_nan=False))
    assert written["per_class"][2]["average_precision_interval"] is None
    assert written["per_class"][0]["class"] == "a"
    assert written["per_class"][0]["curve"][-1][0] == 1.0
    assert written["per_class"][2]["curve"] == []
    assert sum(one["images"] for one in written["mistakes"]) == round(80 * (1 - found.exact_match))
    y[:] = 0.0
    nothing = score_labels(p, y)
    assert math.isnan(nothing.mean_average_precision)
    assert math.isnan(nothing.macro_f1)
    assert nothing.micro_f1 == 0.0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(3, 25))
def test_influences_are_what_weights_change(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 6, n) / 5.0, rng.random(n) < 0.5
    positive[:2] = True, False
    step = 1e-6
    for mine, theirs in (
        (average_precision, metrics.average_precision_score),
        (area_under_roc, metrics.roc_auc_score),
    ):
        score, pull = mine(scores, positive)
        assert score == pytest.approx(theirs(positive, scores))
        assert pull.sum() == pytest.approx(0.0, abs=1e-12)
        for k in range(n):
            weights = np.ones(n)
            weights[k] += step
            change = theirs(positive, scores, sample_weight=weights) - score
            assert pull[k] == pytest.approx(change / step, abs=1e-4)


def test_intervals_hold_the_truth_and_know_groups() -> None:
    shares = np.full(6, 0.15)
    truth = score_labels(*_draw(60_000, shares, seed=0))
    names = ("mean_average_precision", "micro_f1", "macro_f1")
    held = dict.fromkeys(names, 0)
    for seed in range(1, 121):
        found = score_labels(*_draw(150, shares, seed=seed))
        for name in names:
            low, high = getattr(found, f"{name}_interval")
            held[name] += low <= getattr(truth, name) <= high
    assert all(count >= 105 for count in held.values()), held
    # every image four times over tells as much as once, if they are known to be one
    p, y = _draw(150, shares, seed=1)
    once = score_labels(p, y)
    fourfold = score_labels(p.repeat(4, axis=0), y.repeat(4, axis=0), groups=np.arange(600) // 4)
    for name in names:
        assert getattr(fourfold, f"{name}_interval") == pytest.approx(
            getattr(once, f"{name}_interval"), abs=0.01
        )


@pytest.mark.parametrize("n_labels", [1, 20])
@pytest.mark.parametrize("share", [0.05, 0.15])
def test_the_mean_precision_of_few_positives_is_held(share: float, n_labels: int) -> None:
    shares, n, times = np.full(n_labels, share), 150, 100
    p, y = _draw(100_000, np.array([share]), seed=0)
    truth = metrics.average_precision_score(y, p)
    held = 0
    for seed in range(1, times + 1):
        p, y = _draw(n, shares, seed=seed)
        known = np.ones(y.shape, dtype=bool)
        score, (low, high) = mean_average_precision(p, y == 1.0, known, np.arange(n))
        held += low <= truth <= high
        assert low <= score <= high
    # 95 of 100 are meant, and fewer than 90 are seen once in 35 times of so many
    assert held >= 90


@pytest.mark.parametrize("grouped", [False, True])
def test_precision_among_others_leaves_the_own_group_out(grouped: bool) -> None:
    rng = np.random.default_rng(5)
    n = 40
    scores, positive = rng.integers(0, 12, n) / 11.0, rng.random(n) < 0.3
    codes = rng.integers(0, 9, n) if grouped else rng.permutation(n)

    def slow(weights: Array) -> float:
        total = 0.0
        for i in np.flatnonzero(positive):
            above = (scores >= scores[i]) & (codes != codes[i])
            heft = weights[above].sum()
            total += weights[i] * (weights[above & positive].sum() / heft if heft else 1.0)
        return float(total / weights[positive].sum())

    found, pull = precision_among_others(scores, positive, codes)
    assert found == pytest.approx(slow(np.ones(n)))
    for k in range(n):
        weights = np.ones(n)
        weights[k] += 1e-6
        change = slow(weights) - found
        assert pull[k] == pytest.approx(change / 1e-6, abs=1e-4)


def test_perfect_scores_do_not_pretend_to_certainty() -> None:
    y = np.zeros((40, 2))
    y[:3, 0] = y[5:25, 1] = 1.0
    found = score_labels(0.1 + 0.8 * y, y)
    rare, frequent = found.per_class
    assert found.mean_average_precision == 1.0
    assert 0.3 < rare.average_precision_interval[0] < frequent.average_precision_interval[0] < 0.9
    assert found.mean_average_precision_interval[0] < 0.95


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_thresholds_score_higher_on_other_images(share: float) -> None:
    shares = np.full(12, share)
    gain = []
    for seed in range(8):
        limits = best_thresholds(*_draw(200, shares, seed=seed))
        p, y = _draw(3000, shares, seed=100 + seed)
        best = score_labels(p, y, thresholds=limits).macro_f1
        gain.append(best - score_labels(p, y).macro_f1)
    assert np.mean(gain) > 0.01


def test_a_class_of_few_has_the_usual_threshold() -> None:
    p, y = _draw(100, SHARES, seed=4)
    y[:, 1] = 0.0
    y[:4, 1] = 1.0
    y[:, 2] = np.nan
    limits = best_thresholds(p, y)
    assert limits[1] == limits[2] == 0.5
    assert limits[0] != 0.5


@pytest.mark.parametrize(
    ("p", "y", "told"),
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), "shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one image"),
        (np.full((3, 2), 1.5), np.zeros((3, 2)), "between 0 and 1"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "between 0 and 1"),
        (np.zeros((3, 2)), np.full((3, 2), 2.0), "0 or 1"),
        (np.zeros((3, 2)), np.full((3, 2), np.inf), "0 or 1"),
    ],
)
def test_what_cannot_be_scored_is_refused(p: Array, y: Array, told: str) -> None:
    with pytest.raises(InputError, match=told):
        score_labels(p, y)
