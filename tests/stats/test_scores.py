"""Scores against scikit-learn and slow versions."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics

from frostline.core.errors import InputError
from frostline.stats.reliability import calibration_error, reliability
from frostline.stats.scores import score

Array = npt.NDArray[Any]


def _predictions(n: int, n_classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[labels]
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), labels


def test_scores_equal_scikit_learn() -> None:
    p, labels = _predictions(300, 5)
    found = score(p, labels)
    predicted = p.argmax(axis=1)
    assert found.n == 300
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.balanced_accuracy == pytest.approx(
        metrics.balanced_accuracy_score(labels, predicted)
    )
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found.nll == pytest.approx(metrics.log_loss(labels, p))
    assert found.brier == pytest.approx(np.mean(np.sum((p - np.eye(5)[labels]) ** 2, axis=1)))
    assert np.array_equal(found.confusion, metrics.confusion_matrix(labels, predicted))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(labels, predicted)
    for c, entry in enumerate(found.per_class):
        assert entry["class"] == c
        assert entry["precision"] == pytest.approx(precision[c])
        assert entry["recall"] == pytest.approx(recall[c])
        assert entry["f1"] == pytest.approx(f1[c])
        assert entry["support"] == support[c]


def test_brier_equals_scikit_learn_for_two_classes() -> None:
    p, labels = _predictions(100, 2)
    expected = 2.0 * metrics.brier_score_loss(labels, p[:, 1])
    assert score(p, labels).brier == pytest.approx(expected)


def test_absent_classes_count_in_no_average() -> None:
    p = np.array([[0.8, 0.1, 0.1, 0.0], [0.2, 0.7, 0.1, 0.0], [0.1, 0.2, 0.7, 0.0]])
    found = score(p, np.array([0, 0, 0]))
    assert found.balanced_accuracy == pytest.approx(1 / 3)
    assert found.macro_f1 == pytest.approx(
        metrics.f1_score([0, 0, 0], [0, 1, 2], average="macro", labels=[0])
    )
    assert found.per_class[1]["recall"] is None
    assert found.per_class[1]["precision"] == 0.0
    assert found.per_class[3]["f1"] is None
    numbers = [found.accuracy, found.balanced_accuracy, found.macro_f1, found.nll, found.ece]
    assert all(math.isfinite(number) for number in numbers)


def test_certain_mistakes_cost_a_finite_amount() -> None:
    found = score(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    assert found.nll == pytest.approx(metrics.log_loss([0, 1], [[1.0, 0.0], [1.0, 0.0]]))


def test_intervals_hold_the_estimates() -> None:
    p, labels = _predictions(80, 4, seed=3)
    found = score(p, labels)
    for value, (low, high) in (
        (found.accuracy, found.accuracy_interval),
        (found.balanced_accuracy, found.balanced_accuracy_interval),
    ):
        assert 0.0 <= low < value < high <= 1.0


def _slow_ece(confidence: Array, correct: Array, n_bins: int) -> float:
    order = np.argsort(confidence)
    total = 0.0
    for b in range(n_bins):
        rows = order[b * len(order) // n_bins : (b + 1) * len(order) // n_bins]
        gap = abs(confidence[rows].mean() - correct[rows].mean())
        total += gap * len(rows) / len(order)
    return total


def _ece(confidence: Array, right: Array) -> float:
    return calibration_error(reliability(confidence, right, bins=15))


@pytest.mark.parametrize("n", [15, 16, 200, 1001])
def test_calibration_error_equals_the_slow_version(n: int) -> None:
    rng = np.random.default_rng(n)
    confidence = rng.uniform(0.2, 1.0, n)
    correct = rng.uniform(size=n) < confidence**2
    expected = _slow_ece(confidence, correct, 15)
    assert _ece(confidence, correct) == pytest.approx(expected)


def test_calibration_error_ignores_the_order_of_images() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.choice([0.5, 0.9, 1.0], 200)
    correct = rng.uniform(size=200) < 0.8
    order = rng.permutation(200)
    first = _ece(confidence, correct)
    assert _ece(confidence[order], correct[order]) == pytest.approx(first, abs=1e-12)
    # one confidence, right as often as it says
    assert _ece(np.full(10, 0.8), np.arange(10) < 8) == pytest.approx(0.0, abs=1e-12)
    assert _ece(np.array([0.7]), np.array([True])) == pytest.approx(0.3)


def test_json_is_plain_and_named() -> None:
    p, labels = _predictions(50, 3)
    labels = np.minimum(labels, 1)
    written = score(p, labels).to_json(["ant", "bee", "cat"])
    read = json.loads(json.dumps(written, allow_nan=False))
    assert read == written
    assert read["classes"] == ["ant", "bee", "cat"]
    assert [entry["class"] for entry in read["per_class"]] == ["ant", "bee", "cat"]
    assert read["per_class"][2]["recall"] is None
    assert np.sum(read["confusion"]) == read["n"] == 50
    assert len(read["accuracy_interval"]) == 2
    assert {"balanced_accuracy", "balanced_accuracy_interval", "macro_f1", "nll", "ece"} <= set(
        read
    )
    with pytest.raises(InputError, match="3 classes but 1"):
        score(p, labels).to_json(["ant"])


def test_the_seed_alone_decides() -> None:
    p, labels = _predictions(60, 3)
    first = score(p, labels, seed=1)
    assert first.to_json("abc") == score(p, labels, seed=1).to_json("abc")


@pytest.mark.parametrize(
    "p, labels, words",
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int), "at least one image"),
        (np.array([0.5, 0.5]), np.array([0, 1]), "at least one image"),
        (np.array([[0.5, 0.5]]), np.array([0, 1]), "labels of shape"),
        (np.array([[0.5, 0.5]]), np.array([2]), "0 to 1"),
        (np.array([[0.5, 0.5]]), np.array([0.0]), "whole numbers"),
        (np.array([[0.5, 0.7]]), np.array([0]), "sum to 1"),
        (np.array([[1.5, -0.5]]), np.array([0]), "sum to 1"),
        (np.array([[np.nan, 0.5]]), np.array([0]), "sum to 1"),
    ],
)
def test_wrong_input_is_named(p: Array, labels: Array, words: str) -> None:
    with pytest.raises(InputError, match=words):
        score(p, labels)
