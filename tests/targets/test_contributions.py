"""What images contribute to scores: their mean is the score that others compute."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from frostline.core.errors import InputError
from frostline.stats.score_contributions import Answered, Contributions
from frostline.targets.choose import target_of

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 4, 200)
ANSWERS = np.where(RNG.random(200) < 0.7, TRUTH, RNG.integers(0, 4, 200))
SHARES = 0.7 * np.eye(4)[ANSWERS] + 0.3 / 4


def means(found: list[Contributions]) -> dict[str, float]:
    return {one.name: float(one.each.mean()) for one in found}


def test_of_classes() -> None:
    found = means(target_of("single", 4).score_contributions(Answered(ANSWERS, SHARES), TRUTH))
    assert next(iter(found)) == "accuracy"
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(TRUTH, ANSWERS),
            "balanced_accuracy": metrics.balanced_accuracy_score(TRUTH, ANSWERS),
            "macro_f1": metrics.f1_score(TRUTH, ANSWERS, average="macro"),
            "log_loss": metrics.log_loss(TRUTH, SHARES),
        }
    )


def test_of_grades() -> None:
    target = target_of("ordinal", 4)
    found = means(target.score_contributions(Answered(ANSWERS), TRUTH))
    assert next(iter(found)) == "qwk"
    assert "log_loss" not in found
    kappa = metrics.cohen_kappa_score(TRUTH, ANSWERS, weights="quadratic")
    assert found["qwk"] == pytest.approx(kappa)
    assert found["mae"] == pytest.approx(np.abs(ANSWERS - TRUTH).mean())
    assert target.image_contributions(Answered(ANSWERS), TRUTH).each.mean() == found["mae"]


def test_of_labels_with_unknown_ones() -> None:
    truth = (RNG.random((150, 3)) < 0.4).astype(float)
    p = np.clip(0.5 * truth + 0.5 * RNG.random(truth.shape), 0.01, 0.99)
    truth[RNG.random(truth.shape) < 0.1] = np.nan
    called = (p > 0.5).astype(float)
    target, known = target_of("multilabel", 3), ~np.isnan(truth)
    found = means(target.score_contributions(Answered(called, p), truth))
    assert next(iter(found)) == "mean_average_precision"
    each = [
        metrics.average_precision_score(truth[known[:, c], c], p[known[:, c], c]) for c in range(3)
    ]
    assert found["mean_average_precision"] == pytest.approx(np.mean(each))
    assert found["micro_f1"] == pytest.approx(metrics.f1_score(truth[known], called[known]))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth[known], p[known]))
    outputs = target.output_contributions(Answered(called, p), truth, ["a", "b", "c"])
    assert [one.found.each.mean() for one in outputs] == pytest.approx(each)
    answers_only = means(target.score_contributions(Answered(called), truth))
    assert next(iter(answers_only)) == "micro_f1"


def test_of_numbers_with_unknown_ones() -> None:
    truth = RNG.normal(size=(120, 2)) * (1.0, 10.0)
    predicted = truth + RNG.normal(size=truth.shape)
    truth[:10, 1] = np.nan
    target = target_of("regression", 2)
    found = means(target.score_contributions(Answered(predicted, predicted), truth))
    r2 = [metrics.r2_score(truth[k, c], predicted[k, c]) for c, k in enumerate(~np.isnan(truth).T)]
    mae = np.nanmean(np.abs(predicted - truth), axis=0)
    assert found == pytest.approx({"r2": np.mean(r2), "mae": np.mean(mae)})
    outputs = target.output_contributions(Answered(predicted), truth, ["a", "b"])
    assert [one.found.each.mean() for one in outputs] == pytest.approx(mae)


def test_recall_of_every_class_that_occurs() -> None:
    target = target_of("single", 5)
    found = target.output_contributions(Answered(ANSWERS), TRUTH, "abcde")
    assert [one.output for one in found] == ["a", "b", "c", "d"]
    recalls = [one.found.each.mean() for one in found]
    assert recalls == pytest.approx(metrics.recall_score(TRUTH, ANSWERS, average=None))


def test_which_outputs_are_compared() -> None:
    assert target_of("single", 2).comparable("ab", "bc") == ("a", "b", "c")
    assert target_of("multilabel", 2).comparable("ab", "bc") == ("b",)
    assert target_of("ordinal", 2).comparable("ab", "ab") == ("a", "b")
    for task in ("single", "multilabel", "regression"):
        with pytest.raises(InputError, match="in common"):
            target_of(task, 2).comparable("ab", "cd")
    with pytest.raises(InputError, match="different grades"):
        target_of("ordinal", 2).comparable("ab", "ba")
