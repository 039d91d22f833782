"""Estimators for several labels, grades and numbers, on real digits."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score
from sklearn.model_selection import cross_val_score

from frostline import TransferClassifier, TransferRegressor, load
from frostline.core.errors import InputError, SettingsError

pytestmark = pytest.mark.slow

Array = np.ndarray[Any, Any]
NAN = float("nan")
NAMES = np.array(["even", "large", "loop"])


def digits(n: int, first: int = 0) -> Array:
    """Real digits, grey, (n, 8, 8), uint8."""
    found: Array = (load_digits().images[first : first + n] * 15.9).astype(np.uint8)
    return found


def marks(n: int, first: int = 0) -> Array:
    """Whether each is even, large, and has a loop, (n, 3)."""
    y = load_digits().target[first : first + n]
    return np.stack([y % 2 == 0, y >= 7, np.isin(y, (0, 6, 8, 9))], axis=1).astype(int)


def ink(n: int, first: int = 0) -> Array:
    """How much ink it has in its left and in its right half, (n, 2)."""
    images = load_digits().images[first : first + n]
    return np.stack([images[:, :, :4].sum(axis=(1, 2)), images[:, :, 4:].sum(axis=(1, 2))], axis=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A network that is tiny and random, which is enough for digits."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(timm.create_model("test_byobnet", pretrained=False).state_dict(), path)
    return {"backbone": "test_byobnet", "weights": path, "effort": "fast", "input_size": 64}


@pytest.fixture(scope="module")
def labelled(settings: dict[str, Any]) -> TransferClassifier:
    return TransferClassifier(**settings).fit(digits(200), marks(200))


def test_a_matrix_gives_a_matrix(labelled: TransferClassifier, tmp_path: Path) -> None:
    X, y = digits(200, 200), marks(200, 200)
    found = labelled.predict(X)
    assert (found.shape, found.dtype) == (y.shape, y.dtype)
    assert f1_score(y, found, average="micro") > 0.75
    assert labelled.classes_.tolist() == [0, 1, 2]
    p = labelled.predict_proba(X)
    assert p.shape == y.shape
    assert np.ptp(p.sum(axis=1)) > 0.5, "labels do not sum to 1"
    model = load(labelled.model_.save(tmp_path / "model"))
    np.testing.assert_array_equal(found, p >= model.card.rule.thresholds)
    assert labelled.score(X, y) == pytest.approx(accuracy_score(y, found))
    estimate = labelled.metrics_["estimate"]
    assert estimate["mean_average_precision"] > 0.75
    low, high = estimate["mean_average_precision_interval"]
    assert low < estimate["mean_average_precision"] < high
    assert "accuracy" not in estimate
    again = pickle.loads(pickle.dumps(labelled))  # noqa: S301
    np.testing.assert_array_equal(again.predict(X[:9]), found[:9])


def test_lists_give_lists_of_what_was_given(
    settings: dict[str, Any], labelled: TransferClassifier
) -> None:
    X, y = digits(200), marks(200)
    lists: list[Any] = [NAMES[row > 0].tolist() for row in y]
    lists[1], lists[2] = tuple(lists[1]), set(lists[2])
    found = TransferClassifier(**settings).fit(X, lists)
    assert found.classes_.tolist() == ["even", "large", "loop"]
    new = digits(50, 200)
    expected = labelled.predict_proba(new)
    np.testing.assert_allclose(found.predict_proba(new), expected, atol=1e-6)
    answers = found.predict(new)
    assert answers == [NAMES[row > 0].tolist() for row in labelled.predict(new)]
    truth = [NAMES[row > 0].tolist() for row in marks(50, 200)]
    assert found.score(new, truth) == labelled.score(new, marks(50, 200))
    # labels that are numbers stay numbers
    numbers = [[int(i) + 5 for i in np.flatnonzero(row)] for row in y]
    again = TransferClassifier(**settings).fit(X, pd.Series(numbers))
    assert again.classes_.tolist() == [5, 6, 7]
    assert {label for row in again.predict(new) for label in row} == {5, 6, 7}


def test_what_is_unknown_neither_teaches_nor_counts(settings: dict[str, Any]) -> None:
    X, y = digits(200), marks(200).astype(float)
    hidden = np.arange(200) % 3 == 0
    wrong = y.copy()
    wrong[hidden, 2] = 1 - wrong[hidden, 2]
    y[hidden, 2] = NAN
    frame = pd.DataFrame(y, columns=["even", "large", "loop"])
    found = TransferClassifier(**settings).fit(X, frame)
    assert found.classes_.tolist() == ["even", "large", "loop"]
    assert found.model_.open(threads=1, workers=0, max_pixels=10**6).classes == tuple(NAMES)
    new, truth = digits(200, 200), marks(200, 200)
    misled = TransferClassifier(**settings).fit(X, wrong)
    loops = [
        float(((one.predict_proba(new)[:, 2] > 0.5) == truth[:, 2]).mean())
        for one in (found, misled)
    ]
    assert loops[0] > loops[1] + 0.05
    unknown = truth.astype(float)
    unknown[:, 1:] = NAN
    assert found.score(new, unknown) == (found.predict(new)[:, 0] == truth[:, 0]).mean()
    # nothing is known of one image: it is as if it were not there
    lists: list[Any] = [NAMES[row > 0].tolist() for row in marks(200)]
    lists[0] = None
    assert TransferClassifier(**settings).fit(X, lists).metrics_["n_train"] == 199


def test_grades_have_an_order(settings: dict[str, Any]) -> None:
    X = digits(200)
    y = np.minimum(load_digits().target[:200] // 3, 2)
    graded = TransferClassifier(task="ordinal", **settings).fit(X, y)
    assert graded.classes_.tolist() == [0, 1, 2]
    assert set(graded.predict(X).tolist()) <= {0, 1, 2}
    estimate = graded.metrics_["estimate"]
    assert estimate["qwk"] > 0.3 and estimate["mae"] < 0.8
    assert "accuracy" in estimate
    assert graded.plan_ is not None
    names = np.array(["fine", "worn", "broken"])[y]
    order = pd.CategoricalDtype(["fine", "worn", "broken"], ordered=True)
    named = TransferClassifier(task="ordinal", **settings).fit(X, pd.Series(names, dtype=order))
    np.testing.assert_allclose(
        named.predict_proba(X)[:, np.argsort(np.argsort(["fine", "worn", "broken"]))],
        graded.predict_proba(X),
        atol=1e-6,
    )
    with pytest.raises(InputError, match="in which order"):
        TransferClassifier(task="ordinal", **settings).fit(X, names)
    # each metric has answers of its own
    new, truth = digits(400, 200), np.minimum(load_digits().target[200:600] // 3, 2)
    own: dict[str, Any] = {"auto": graded}
    for metric in ("accuracy", "mae", "qwk"):
        own[metric] = TransferClassifier(task="ordinal", metric=metric, **settings).fit(X, y)
    p = {metric: one.predict_proba(new) for metric, one in own.items()}
    said = {metric: one.predict(new) for metric, one in own.items()}
    np.testing.assert_array_equal(said["accuracy"], p["accuracy"].argmax(axis=1))
    np.testing.assert_array_equal(said["mae"], (p["mae"].cumsum(axis=1) < 0.5).sum(axis=1))
    np.testing.assert_array_equal(said["auto"], said["mae"])
    kappa = {m: cohen_kappa_score(truth, x, weights="quadratic") for m, x in said.items()}
    assert kappa["qwk"] > kappa["accuracy"]
    assert own["qwk"].plan_.metric == "qwk"


def test_numbers_of_one_and_of_several_columns(settings: dict[str, Any], tmp_path: Path) -> None:
    X, y = digits(200), ink(200)
    new, truth = digits(200, 200), ink(200, 200)
    one = TransferRegressor(**settings).fit(X, y[:, 0])
    assert one.predict(new).shape == (200,)
    assert one.score(new, truth[:, 0]) > 0.3
    estimate = one.metrics_["estimate"]
    low, high = estimate["r2_interval"]
    assert low < estimate["r2"] < high
    assert estimate["mae"] > 0
    both = TransferRegressor(**settings).fit(X, pd.DataFrame(y, columns=["left", "right"]))
    found = both.predict(new)
    assert found.shape == (200, 2)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[:, 0], one.predict(new), rtol=0.2, atol=20)
    assert both.score(new, truth) > 0.3
    assert load(both.model_.save(tmp_path / "model")).classes == ("left", "right")
    column = TransferRegressor(**settings).fit(X, y[:, :1]).predict(new)
    np.testing.assert_array_equal(column, one.predict(new)[:, None])
    numbers, ends = one.predict_interval(new)
    np.testing.assert_array_equal(numbers, one.predict(new))
    assert ends.shape == (200, 2)
    assert 0.8 < np.mean((ends[:, 0] <= truth[:, 0]) & (truth[:, 0] <= ends[:, 1])) < 0.99
    np.testing.assert_allclose(ends.mean(axis=1), numbers)
    with mock.patch.object(TransferRegressor, "_model") as model:
        model.return_value.predict_proba.return_value = np.zeros((200, 1))
        model.return_value.card.intervals = None
        with pytest.raises(InputError, match="how far off its numbers are"):
            one.predict_interval(new)
    swapped = TransferRegressor(**settings).fit(X, pd.DataFrame(y[:, ::-1], columns=["r", "l"]))
    numbers, ends = swapped.predict_interval(new)
    assert ends.shape == (200, 2, 2)
    held = (ends[:, 0] <= truth[:, ::-1]) & (truth[:, ::-1] <= ends[:, 1])
    assert np.all(np.abs(held.mean(axis=0) - 0.9) < 0.1), "columns keep the order of y"
    unknown = y.copy()
    unknown[::2, 1] = NAN
    assert TransferRegressor(**settings).fit(X, unknown).score(new, truth) > 0.2
    assert cross_val_score(TransferRegressor(**settings), X, y[:, 0], cv=2).mean() > 0.2
    weights = np.where(np.arange(200) < 100, 1.0, 0.0)
    half = TransferRegressor(**settings).fit(X, y[:, 0], sample_weight=weights)
    assert half.metrics_["n_train"] == 100


@pytest.mark.parametrize(
    ("y", "task", "expected"),
    [
        (np.full((12, 2), NAN), "auto", "1d array"),
        (np.arange(24).reshape(12, 2), "auto", "1d array"),
        ([["a"], "b"] * 6, "auto", r"y\[1\] is a str"),
        ([[]] * 12, "auto", "No image has a label"),
        (np.tile([0, 1], 6), "regression", "TransferRegressor"),
        (np.tile([0, 1], 6), "several", "task cannot be 'several'"),
        ([["a"], ["b"]] * 3, "auto", "inconsistent"),
    ],
)
def test_targets_that_are_none(settings: dict[str, Any], y: Any, task: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        TransferClassifier(task=task, **settings).fit(digits(12), y)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.full(12, 3.0), "different numbers"),
        (np.array([NAN, *range(11)]), "NaN"),
        (np.array([[np.inf, 1.0]] * 12), "infinity"),
        (["a"] * 12, "could not convert"),
        (np.arange(5.0), "inconsistent"),
        (None, "requires y"),
    ],
)
def test_numbers_that_are_none(settings: dict[str, Any], y: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        TransferRegressor(**settings).fit(digits(12), y)


def test_a_regressor_has_no_parameters_of_classes() -> None:
    given = TransferRegressor().get_params()
    assert set(TransferClassifier().get_params()) - set(given) == {
        *("task", "metric", "costs", "at_most_wrong", "label_smoothing", "class_weight"),
    }
    with pytest.raises(TypeError, match="takes no 'class_weight'"):
        TransferRegressor(class_weight="balanced")
    assert clone(TransferRegressor(epochs=2)).get_params()["epochs"] == 2
    assert not hasattr(TransferRegressor(), "predict_proba")
    with pytest.raises(SettingsError, match="It is a parameter"):
        TransferRegressor().fit(digits(3), [1, 2, 3], epochs=2)
