"""The correction for grades, and what is wanted of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import SettingsError
from frostline.stats.calibration import softmax
from frostline.stats.decision_rule import LIKELIEST
from frostline.stats.level_metrics import LevelDistance, QuadraticKappa
from frostline.stats.metrics import ACCURACY
from frostline.stats.ordinal_scores import median_levels, score_levels
from frostline.stats.second_stage import _FAMILIES, fit_second_stage
from frostline.targets.ordinal import Ordinal
from frostline.targets.single_label import SingleLabel


def graded(n: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Outputs of least squares on indicators of five grades, of one score with noise."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    truth = np.digitize(score + 0.4 * rng.normal(size=n), [-1.2, -0.4, 0.4, 1.2])
    inputs = np.column_stack([np.ones(n), score])
    weights = np.linalg.lstsq(inputs, np.eye(5)[truth], rcond=None)[0]
    return inputs @ weights + 0.02 * rng.normal(size=(n, 5)), truth.astype(np.int64)


def test_slopes_and_curvatures_are_those_of_the_loss() -> None:
    outputs, truth = graded(60, 0)
    family = _FAMILIES["ordered"](4.0 * outputs)
    rng = np.random.default_rng(1)
    values = rng.normal(size=family.size) * 0.3
    share = rng.random(len(truth))

    def gradient(at: FloatArray) -> FloatArray:
        p = softmax(family.changed(at))
        return family.gradient((p - np.eye(5)[truth]) * share[:, None])

    def loss(at: FloatArray) -> float:
        p = softmax(family.changed(at))[np.arange(len(truth)), truth]
        return float(-share @ np.log(p))

    step = 1e-5 * np.eye(family.size)
    slopes = [(loss(values + s) - loss(values - s)) / 2e-5 for s in step]
    np.testing.assert_allclose(gradient(values), slopes, rtol=1e-5, atol=1e-6)
    curvature = [(gradient(values + s) - gradient(values - s)) / 2e-5 for s in step]
    p = softmax(family.changed(values))
    np.testing.assert_allclose(family.hessian(p, share), curvature, rtol=1e-5, atol=1e-5)


def test_an_order_helps_where_there_is_one() -> None:
    outputs, truth = graded(250, 0)
    others, real = graded(4000, 1)
    metric = LevelDistance.of(5)
    found = {}
    for kind in ("none", "biases", "ordered"):
        stage = fit_second_stage(kind, outputs, truth)
        p = softmax(stage.apply(others))
        rule = metric.rule(p, real, np.full(5, 0.2))
        answers = rule.decide(p)
        np.testing.assert_array_equal(answers, median_levels(p))
        found[kind] = score_levels(p, real, answers=answers)
        plain = score_levels(p, real, answers=p.argmax(axis=1))
        # the median is nearer to the truth than the likeliest grade
        assert found[kind].mae <= plain.mae
    # grades between others hardly ever win by least squares alone
    assert found["ordered"].rps < 0.9 * found["biases"].rps < found["none"].rps
    assert found["ordered"].mae < found["biases"].mae


def test_the_score_of_grades_is_the_distance_that_is_saved() -> None:
    outputs, truth = graded(500, 2)
    target, metric = Ordinal(5), Ordinal(5).metric(None)
    p = softmax(outputs / 0.1)
    rule = target.rule(metric, p, truth, (truth, None))
    gains = metric.of_decisions(p, rule, truth)
    off = np.abs(rule.decide(p) - truth).mean()
    assert gains.mean() == pytest.approx(1.0 - off / np.abs(truth - np.median(truth)).mean())
    by_p = metric.of_probabilities(p, rule, truth)
    base = np.tile(np.bincount(truth, minlength=5) / len(truth), (len(truth), 1))
    ratio = score_levels(p, truth).rps / score_levels(base, truth).rps
    assert by_p.mean() == pytest.approx(1.0 - ratio)
    assert "ordered" in target.stages()


def test_the_rule_for_kappa_reaches_the_highest() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.8, 0.3, 0.2, 0.5], size=20_000)
    # the probabilities are true
    truth = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1).astype(np.int64)
    shares = np.bincount(truth, minlength=4) / len(truth)
    metric = QuadraticKappa.of(4)
    rule = metric.rule(p, truth, shares)
    squares = np.square(np.subtract.outer(np.arange(4), np.arange(4)))

    def kappa(answers: IntArray) -> float:
        return float(cohen_kappa_score(truth, answers, weights="quadratic"))

    reached = kappa(rule.decide(p))
    assert metric.of_decisions(p, rule, truth).mean() == pytest.approx(reached)
    others = {
        "likeliest": p.argmax(axis=1),
        "median": median_levels(p),
        "squared distance": (p @ squares).argmin(axis=1),
    }
    assert reached > max(map(kappa, others.values())) + 0.001
    # costs of the same kind with more or less weight on the spread of answers gain nothing
    around = np.square(np.arange(4) - shares @ np.arange(4))
    steps = [kappa((p @ (squares - w * around)).argmin(axis=1)) for w in np.linspace(0, 0.9, 19)]
    assert reached > max(steps) - 0.001


def test_kappa_counts_images_by_their_weight() -> None:
    outputs, truth = graded(300, 3)
    p, metric = softmax(outputs / 0.1), QuadraticKappa.of(5)
    weights: FloatArray = np.arange(300, dtype=np.float64) % 3 + 1.0
    repeated = np.repeat(np.arange(300), weights.astype(int))
    gains = metric.of_answers(p, p.argmax(axis=1), truth, weights)
    wanted = metric.of_answers(p[repeated], p[repeated].argmax(axis=1), truth[repeated])
    assert gains.mean() == pytest.approx(wanted.mean())
    answers = p.argmax(axis=1)
    assert wanted.mean() == pytest.approx(
        cohen_kappa_score(truth, answers, weights="quadratic", sample_weight=weights)
    )
    # without an image it moves as its contribution says
    plain = metric.of_answers(p, answers, truth)
    rest = np.arange(1, 300)
    without = cohen_kappa_score(truth[rest], answers[rest], weights="quadratic")
    assert plain.mean() - without == pytest.approx((plain[0] - plain.mean()) / 299, rel=0.05)


def test_grades_are_answered_as_the_metric_asks() -> None:
    outputs, truth = graded(200, 4)
    p, target = softmax(outputs / 0.1), Ordinal(5)
    assert target.metric(ACCURACY) is ACCURACY
    assert target.rule(ACCURACY, p, truth, (truth, None)) == LIKELIEST
    assert target.metric(None) == LevelDistance.of(5)
    assert target.metric(QuadraticKappa.of(5)).name == "qwk"
    with pytest.raises(SettingsError, match="'qwk' is for grades"):
        SingleLabel(5).metric(QuadraticKappa.of(5))
    # of one level throughout nothing is defined
    one = np.zeros(9, dtype=np.int64)
    assert QuadraticKappa.of(5).of_answers(p[:9], one, one).tolist() == [0.0] * 9
