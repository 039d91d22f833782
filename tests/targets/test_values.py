"""Targets of several outputs: labels and numbers, some of them unknown."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, r2_score

from frostline.core.arrays import FloatArray, Truth
from frostline.core.errors import InputError, SettingsError
from frostline.stats.metrics import ACCURACY, METRICS
from frostline.stats.sigmoids import fit_sigmoids, sigmoid
from frostline.stats.value_metrics import ExplainedVariance, LabelLogLoss
from frostline.targets.choose import TARGETS, target_of
from frostline.targets.multi_label import MultiLabel, average_precisions

#: what is said of a digit: it is even, it has a loop, it is large
LABELS = np.array([[d % 2 == 0, d in (0, 6, 8, 9), d >= 7] for d in range(10)], dtype=np.float64)


def labelled_digits(n: int = 300, unknown: float = 0.0) -> tuple[FloatArray, Truth]:
    data = load_digits()
    truth = LABELS[data.target[:n]]
    truth[np.random.default_rng(0).random(truth.shape) < unknown] = np.nan
    return data.data[:n], truth


def test_every_task_has_its_target() -> None:
    for task in TARGETS:
        assert target_of(task, 3).task == task
        assert target_of(task, 3).n_outputs == 3
        assert target_of(task, 3).exclusive == (task in ("single", "ordinal"))


def test_sigmoids_are_those_of_a_logistic_model() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random((4000, 2)) < [0.3, 0.7]).astype(np.float64)
    outputs = truth * 0.2 + rng.normal(size=truth.shape) * 0.2
    truth[:500, 1] = np.nan
    found = fit_sigmoids(outputs, truth)
    for column in range(2):
        known = ~np.isnan(truth[:, column])
        other = LogisticRegression(C=np.inf).fit(outputs[known, column, None], truth[known, column])
        assert found.scale[column] == pytest.approx(other.coef_[0, 0], rel=0.01)
        assert found.bias[column] == pytest.approx(other.intercept_[0], rel=0.02, abs=0.02)


def test_outputs_that_run_against_a_label_tell_nothing_of_it() -> None:
    truth = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    found = fit_sigmoids(-truth, truth)
    assert found.scale.tolist() == [0.0, 0.0]
    # half have the first; nobody has the second, which is no certainty
    p = sigmoid(found.apply(-truth))[0]
    assert p[0] == pytest.approx(0.5, abs=0.01)
    assert 0.05 < p[1] < 0.2


def test_the_score_of_labels_is_the_share_of_their_log_loss_that_is_gone() -> None:
    _, truth = labelled_digits(unknown=0.2)
    p = np.clip(np.nan_to_num(truth, nan=0.5) * 0.6 + 0.2, 0.01, 0.99)
    gains = LabelLogLoss().of_values(p, truth)
    base = np.nanmean(truth, axis=0)
    of_model, of_base = [], []
    for row, of_row in zip(p, truth, strict=True):
        known = ~np.isnan(of_row)
        if known.any():
            of_model.append(log_loss(of_row[known], row[known], labels=[0, 1]))
            of_base.append(log_loss(of_row[known], base[known], labels=[0, 1]))
    assert gains.mean() == pytest.approx(1.0 - np.mean(of_model) / np.mean(of_base))
    assert LabelLogLoss().of_values(np.broadcast_to(base, p.shape), truth).mean() == pytest.approx(
        0.0, abs=1e-12
    )
    precisions = average_precisions(p + np.random.default_rng(0).random(p.shape), truth)
    assert precisions.shape == (3,)


def test_average_precision_is_that_of_scikit_learn() -> None:
    _, truth = labelled_digits()
    outputs = truth + np.random.default_rng(3).normal(size=truth.shape)
    wanted = [average_precision_score(truth[:, c], outputs[:, c]) for c in range(3)]
    np.testing.assert_allclose(average_precisions(outputs, truth), wanted)


def test_the_score_of_numbers_is_r2() -> None:
    data = load_diabetes()
    truth = np.stack([data.target, data.data[:, 2] * 7], axis=1)
    guess = truth + np.random.default_rng(0).normal(size=truth.shape) * truth.std(axis=0) * 0.5
    gains = ExplainedVariance().of_values(guess, truth)
    assert gains.mean() == pytest.approx(r2_score(truth, guess))
    truth[:200, 0] = np.nan
    wanted = (r2_score(truth[200:, 0], guess[200:, 0]) + r2_score(truth[:, 1], guess[:, 1])) / 2
    assert ExplainedVariance().of_values(guess, truth).mean() == pytest.approx(wanted)


def test_strata_keep_the_rarest_label_and_the_quantiles() -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, np.nan, 1]])
    assert MultiLabel(3).strata(truth).tolist() == [1, 0, 3, 2]
    numbers = np.linspace(0.0, 1.0, 100)[:, None] ** 3
    assert np.bincount(target_of("regression", 1).strata(numbers)).tolist() == [10] * 10


def test_labels_in_any_order_have_the_precision_of_their_share() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((4000, 3)) < [0.1, 0.3, 0.6]).astype(float)
    truth[rng.random(truth.shape) < 0.2] = np.nan
    found = average_precisions(rng.random(truth.shape), truth).mean()
    assert MultiLabel(3).chance(truth) == pytest.approx(found, abs=0.02)


def test_what_cannot_be_learned_is_named() -> None:
    labels, numbers = target_of("multilabel", 2), target_of("regression", 2)
    with pytest.raises(InputError, match="0, 1 or NaN for unknown, not 2"):
        labels.encode([[0, 2]])
    with pytest.raises(InputError, match="Nothing is known of 'b' in the images"):
        labels.check(np.array([[0, np.nan], [1, np.nan]]), "ab", where="the images")
    with pytest.raises(InputError, match="No label of the images is there in some"):
        labels.check(np.array([[0.0, 0.0], [0.0, 0.0]]), "ab", where="the images")
    # a label that nobody has is accepted beside one that tells something
    labels.check(np.array([[0.0, 0.0], [1.0, 0.0]]), "ab", where="the images")
    with pytest.raises(InputError, match="finite"):
        numbers.encode([[0.0, np.inf]])
    with pytest.raises(InputError, match="'b' has fewer than 2 different numbers"):
        numbers.check(np.array([[0.0, 3.0], [1.0, 3.0]]), "ab", where="the images")
    assert numbers.metric(ACCURACY).name == "r2"
    with pytest.raises(SettingsError, match="macro_f1"):
        numbers.metric(METRICS["macro_f1"])


def test_copies_contradict_each_other_where_not_all_can_be_right() -> None:
    ages = np.array([[20.0, 1.0], [21.0, np.nan], [60.0, 2.0], [np.nan, 3.0], [40.0, 2.0]])
    copies = [[0, 1], [0, 2], [1, 3], [0, 1, 2]]
    # standard deviations: 16.0 years and 0.7
    assert target_of("regression", 2).contradicting(ages, copies) == [False, True, False, True]
    labels = np.array([[1, 0], [1, np.nan], [0, np.nan], [np.nan, 0]])
    copies = [[0, 1], [0, 2], [2, 3], [0, 1, 3]]
    assert target_of("multilabel", 2).contradicting(labels, copies) == [False, True, False, False]
    grades = np.array([0, 1, 1])
    assert target_of("ordinal", 3).contradicting(grades, [[0, 1], [1, 2]]) == [True, False]
