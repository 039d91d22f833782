"""Metrics against scikit-learn, and their errors against leaving out and drawing again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as theirs
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from frostline.core.errors import InputError
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.intervals import paired_difference
from frostline.stats.metrics import (
    METRICS,
    ExpectedCost,
    Judge,
    Metric,
    class_shares,
)

Array = npt.NDArray[Any]

#: rare classes dear, and not alike both ways
_COSTS = ((0.0, 1.0, 4.0), (2.0, 0.0, 1.0), (9.0, 3.0, 0.0))
_ALL: list[Metric] = [*METRICS.values(), ExpectedCost(_COSTS)]


@cache
def _digits() -> tuple[Array, Array]:
    """Left-out probabilities for unequal classes of noisy digits: low, middle, and a rare high."""
    x, y = load_digits(return_X_y=True)
    truth = np.digitize(y, [5, 9])
    rng = np.random.default_rng(0)
    noisy = x + rng.normal(scale=6.0, size=x.shape)
    p = cross_val_predict(
        LogisticRegression(max_iter=300), noisy / 16, truth, cv=5, method="predict_proba"
    )
    return p, truth


def _judge(metric: Metric, p: Array, truth: Array, weights: Array | None = None) -> Judge:
    shares = class_shares(truth, None, n_outputs=p.shape[1])
    return Judge(metric, metric.rule(p, truth, shares), truth, weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_contributions_are_the_scores_of_scikit_learn(weighted: bool) -> None:
    p, truth = _digits()
    weights = np.random.default_rng(1).exponential(size=len(truth)) if weighted else None
    shares = class_shares(truth, weights, n_outputs=3)
    base = theirs.log_loss(truth, np.tile(shares, (len(truth), 1)), sample_weight=weights)
    costs = np.array(_COSTS)
    for metric in _ALL:
        judge = _judge(metric, p, truth, weights)
        said = judge.rule.decide(p)
        mean = float(np.mean(judge.of_decisions(p)))
        expected: dict[str, Callable[[Array], float]] = {
            "accuracy": lambda d: theirs.accuracy_score(truth, d, sample_weight=weights),
            "balanced_accuracy": lambda d: theirs.balanced_accuracy_score(
                truth, d, sample_weight=weights
            ),
            "macro_f1": lambda d: theirs.f1_score(truth, d, average="macro", sample_weight=weights),
            "log_loss": lambda d: 1 - theirs.log_loss(truth, p, sample_weight=weights) / base,
            "cost": lambda d: (
                1 - np.average(costs[truth, d], weights=weights) / (shares @ costs).min()
            ),
        }
        assert mean == pytest.approx(expected[metric.name](said)), metric.name


@pytest.mark.parametrize("metric", _ALL, ids=lambda m: m.name)
def test_rule_reaches_at_least_what_the_likeliest_class_does(metric: Metric) -> None:
    p, truth = _digits()
    judge = _judge(metric, p, truth)
    plain = Judge(metric, LIKELIEST, truth)
    gain = float(np.mean(judge.of_decisions(p)) - np.mean(plain.of_decisions(p)))
    assert gain >= 0.0
    # these three want the rare class more often than it is the likeliest
    assert gain > 0.01 or metric.name in ("accuracy", "log_loss", "macro_f1")


@pytest.mark.parametrize("metric", _ALL, ids=lambda m: m.name)
def test_paired_error_is_that_of_leaving_groups_out(metric: Metric) -> None:
    p, truth = _digits()
    rng = np.random.default_rng(2)
    other = np.exp(np.log(np.maximum(p, 1e-9)) + rng.normal(scale=0.7, size=p.shape))
    other /= other.sum(axis=1, keepdims=True)
    groups = np.arange(len(truth)) // 3
    judge = _judge(metric, p, truth)
    gain, error = paired_difference(judge.of_decisions(p), judge.of_decisions(other), groups=groups)
    assert gain > 0
    left: list[float] = []
    for group in np.unique(groups):
        kept = groups != group
        one = Judge(metric, judge.rule, truth[kept])
        left.append(
            float(np.mean(one.of_decisions(p[kept])) - np.mean(one.of_decisions(other[kept])))
        )
    n = len(left)
    jackknife = float(np.sqrt((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2)))
    assert error == pytest.approx(jackknife, rel=0.05)


def test_probabilities_tell_models_apart_more_surely_than_decisions() -> None:
    p, truth = _digits()
    blurred = 0.7 * p + 0.3 / 3
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        judge = _judge(METRICS[name], p, truth)
        soft = paired_difference(judge.of_probabilities(p), judge.of_probabilities(blurred))
        hard = paired_difference(judge.of_decisions(p), judge.of_decisions(blurred))
        assert soft[0] / soft[1] > 5 > abs(hard[0]) / max(hard[1], 1e-9)


def test_images_without_weight_count_nothing() -> None:
    p, truth = _digits()
    weights = np.where(np.arange(len(truth)) % 4, 1.0, 0.0)
    weights[truth == 2] = 0.0
    for metric in _ALL:
        judge = _judge(metric, p, truth, weights)
        kept = weights > 0
        fewer = Judge(metric, judge.rule, truth[kept])
        found = judge.of_decisions(p)
        assert np.isfinite(found).all()
        assert np.mean(found) == pytest.approx(np.mean(fewer.of_decisions(p[kept]))), metric.name


def test_balanced_rule_divides_by_the_share_of_each_class() -> None:
    metric, nobody = METRICS["balanced_accuracy"], np.zeros(0, dtype=np.int64)
    rule = metric.rule(np.zeros((0, 3)), nobody, np.array([0.1, 0.4, 0.5]))
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.5, 0.4], [0.04, 0.26, 0.7]])
    assert rule.decide(p).tolist() == [0, 1, 2]
    assert p.argmax(axis=1).tolist() == [2, 1, 2]
    assert metric.rule(np.zeros((0, 3)), nobody, np.ones(3) / 3) is LIKELIEST


def test_balanced_rule_goes_less_far_where_probabilities_are_too_even() -> None:
    p, truth = _digits()
    metric, shares = METRICS["balanced_accuracy"], class_shares(truth, None, n_outputs=3)
    whole = DecisionRule(factors=tuple(shares.min() / shares))
    assert metric.rule(p, truth, shares).factors == pytest.approx(whole.factors)
    # as if every image were half as sure: the rare class is answered far too often then
    even = p**0.4 / (p**0.4).sum(axis=1, keepdims=True)
    found = metric.rule(even, truth, shares)
    gains = [np.mean(metric.of_decisions(even, rule, truth)) for rule in (found, whole)]
    assert gains[0] > gains[1] + 0.02


def test_rule_by_costs_takes_the_cheapest_class() -> None:
    rule = DecisionRule(costs=((0.0, 1.0), (10.0, 0.0)))
    assert rule.decide(np.array([[0.95, 0.05], [0.85, 0.15]])).tolist() == [0, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"factors": (1.0, -1.0)},
        {"factors": (1.0, float("nan"))},
        {"costs": ((0.0, 1.0),)},
        {"factors": (1.0, 1.0), "costs": ((0.0, 1.0), (1.0, 0.0))},
    ],
)
def test_senseless_rules_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError):
        DecisionRule(**wrong)
