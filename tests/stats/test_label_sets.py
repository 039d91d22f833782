"""Doubtful labels of several, numbers far off, labels that come together, mistaken sets, curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import precision_recall_curve

from frostline.core.errors import InputError
from frostline.stats.cell_issues import likely_label_errors_of_sets, numbers_far_off, worst_labels
from frostline.stats.co_occurrence import SetMistake, label_pairs, set_mistakes
from frostline.stats.label_curves import precision_recall
from frostline.stats.out_of_fold import OutOfFold

Array = npt.NDArray[Any]


def _labels(n: int = 400, n_labels: int = 5, *, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = (rng.random((n, n_labels)) < 0.3).astype(float)
    odds = 4.0 * (y - 0.5) + rng.normal(size=y.shape)
    return 1.0 / (1.0 + np.exp(-odds)), y


def test_labels_that_were_turned_are_doubted_first() -> None:
    p, y = _labels()
    rng = np.random.default_rng(1)
    turned = {(int(i), int(rng.integers(5))) for i in rng.choice(400, 30, replace=False)}
    given = y.copy()
    for i, c in turned:
        given[i, c] = 1.0 - given[i, c]
    found = likely_label_errors_of_sets([OutOfFold(np.arange(400), p)], given, most=30)
    hit = [(one.row, one.output) in turned for one in found]
    assert np.mean(hit[:15]) > 0.8
    for one in found:
        assert one.given == given[one.row, one.output]
        assert one.predicted == p[one.row, one.output]
        assert one.margin < 0
    assert [one.margin for one in found] == sorted(one.margin for one in found)


def test_unknown_and_rare_labels_are_not_doubted() -> None:
    p, y = _labels()
    y[:, 0] = np.nan
    y[:, 1] = 0.0
    y[:3, 1] = 1.0
    p[:, 1] = 1.0 - y[:, 1]
    found = likely_label_errors_of_sets([OutOfFold(np.arange(400), p)], y, most=1000)
    assert not {one.output for one in found} & {0, 1}
    # an image counts with its first judge
    first = OutOfFold(np.arange(200), y[:200].clip(0.01, 0.99))
    second = OutOfFold(np.arange(400), p)
    found = likely_label_errors_of_sets([first, second], y, most=1000)
    assert {one.row for one in found if one.output > 1} <= set(range(200, 400))
    with pytest.raises(InputError, match="outputs"):
        likely_label_errors_of_sets([OutOfFold(np.arange(400), p[:, :2])], y, most=1)


def test_worst_labels_are_the_surest_mistakes() -> None:
    p, y = _labels()
    y[:, 4] = np.nan
    said = (p >= 0.5).astype(float)
    found = worst_labels(OutOfFold(np.arange(400), p), said, y, most=10_000)
    wrong = (said != y) & ~np.isnan(y)
    assert len(found) == wrong.sum()
    assert all(wrong[one.row, one.output] for one in found)
    sure = [abs(one.predicted - one.given) for one in found]
    assert sure == sorted(sure, reverse=True)


def test_numbers_far_off_are_those_that_were_changed() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(300, 2)) * [1.0, 100.0]
    p = y + rng.normal(size=y.shape) * [0.1, 10.0]
    given = y.copy()
    given[7, 0] += 5.0
    given[9, 1] = np.nan
    given[11, 1] -= 300.0
    found = numbers_far_off([OutOfFold(np.arange(300), p)], given, most=2)
    assert {(one.row, one.output) for one in found} == {(7, 0), (11, 1)}
    assert found[0].margin < -4
    assert not numbers_far_off([OutOfFold(np.arange(300), y)], y, most=5)


def test_labels_that_come_together_or_never_do() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((500, 6)) < 0.3).astype(float)
    y[:, 1] = np.where(rng.random(500) < 0.9, y[:, 0], y[:, 1])
    y[:, 3] = np.where(y[:, 2] == 1, 0.0, y[:, 3])
    found = label_pairs(y)
    assert {(one.first, one.second) for one in found[:2]} == {(0, 1), (2, 3)}
    together = next(one for one in found if (one.first, one.second) == (0, 1))
    assert together.images == int(((y[:, 0] == 1) & (y[:, 1] == 1)).sum())
    assert together.expected == pytest.approx(y[:, 0].sum() * y[:, 1].sum() / 500)
    assert together.lift > 2
    never = next(one for one in found if (one.first, one.second) == (2, 3))
    assert never.images == 0
    # what is not known counts nowhere
    y[:250, 0] = np.nan
    half = next(one for one in label_pairs(y) if (one.first, one.second) == (0, 1))
    assert half.images == int(((y[250:, 0] == 1) & (y[250:, 1] == 1)).sum())
    assert half.expected == pytest.approx(y[250:, 0].sum() * y[250:, 1].sum() / 250)


def test_thousands_of_rare_labels_have_no_pair() -> None:
    y = np.zeros((200, 5000))
    y[np.arange(200), np.arange(200)] = 1.0
    assert label_pairs(y) == []


def test_mistaken_sets_are_counted_by_kind() -> None:
    y = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1], [0, np.nan, 0]])
    said = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0]])
    assert set_mistakes(said, y) == [SetMistake((1,), (), 2), SetMistake((), (1,), 1)]


@pytest.mark.parametrize("coarse", [False, True])
def test_curves_lie_on_that_of_scikit_learn(coarse: bool) -> None:
    p, y = _labels()
    scores = np.round(p[:, 0], 1 if coarse else 12).astype(np.float64)
    found = precision_recall(scores, y[:, 0] == 1)
    precision, recall, _ = precision_recall_curve(y[:, 0], scores)
    known = {
        (round(float(r), 9), round(float(q), 9)) for r, q in zip(recall, precision, strict=True)
    }
    assert {(round(r, 9), round(q, 9)) for r, q in found} <= known
    assert found[-1][0] == 1.0
    assert len(found) <= 41
    assert precision_recall(scores, np.zeros(400, dtype=bool)) == []
