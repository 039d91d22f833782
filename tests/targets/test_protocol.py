"""The protocol is enough for a fit: one test drives classes and a toy kind of numbers alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import Ridge

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.ridge import FLOOR, ridge_loo
from frostline.targets.labelled import Labelled
from frostline.targets.protocol import Target, Weighting
from frostline.targets.single_label import SingleLabel


@dataclass(frozen=True)
class Dense:
    """Numbers as they are.

    Parameters
    ----------
    values : float64 ndarray of shape (n, k)
    """

    values: FloatArray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n_columns(self) -> int:
        return int(self.values.shape[1])

    def rows(self, rows: slice | IntArray) -> FloatArray:
        return self.values[rows]

    def weighted_sum(self, weights: FloatArray) -> FloatArray:
        return weights @ self.values

    def products(self, rows: slice | IntArray, values: FloatArray) -> FloatArray:
        return self.values[rows].T @ values


@dataclass(frozen=True)
class Number:
    """A whole number to be met within ten: only what a fit in closed form needs."""

    n_outputs: int = 1
    loss: str = "squared_error"

    def encode(self, labels: npt.ArrayLike) -> IntArray:
        return np.asarray(labels, dtype=np.int64)

    def matrix(self, truth: IntArray) -> Dense:
        return Dense(truth[:, None].astype(np.float64))

    def output_weights(self, truth: IntArray, weighting: Weighting) -> FloatArray | None:
        return None

    def row_weights(self, truth: IntArray, weights: FloatArray | None) -> FloatArray | None:
        return None

    def link(self, outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
        return np.asarray(outputs, dtype=np.float64)

    def calibrate(
        self, outputs: npt.ArrayLike, truth: npt.ArrayLike, weights: FloatArray | None = None
    ) -> float:
        return 1.0

    def decide(self, prediction: FloatArray) -> IntArray:
        return prediction[:, 0].round().astype(np.int64)

    def right(self, prediction: FloatArray, truth: IntArray) -> BoolArray:
        return np.abs(prediction[:, 0] - truth) <= 10

    def certainty(self, prediction: FloatArray, truth: IntArray) -> FloatArray:
        return np.exp(-np.abs(prediction[:, 0] - truth))

    def strata(self, truth: IntArray) -> IntArray:
        return np.digitize(truth, np.quantile(truth, [0.25, 0.5, 0.75]))

    def chance(self, truth: IntArray) -> float:
        return float((np.abs(truth - np.median(truth)) <= 10).mean())


def digits() -> tuple[Target, FloatArray, IntArray]:
    data = load_digits()
    return SingleLabel(10), data.data[:300], data.target[:300].astype(np.int64)


def diabetes() -> tuple[Target, FloatArray, IntArray]:
    data = load_diabetes()
    return Number(), data.data, data.target.astype(np.int64)


@pytest.mark.parametrize("given", [digits, diabetes])
def test_a_fit_needs_nothing_but_the_protocol(given: object) -> None:
    assert callable(given)
    target, features, labels = given()
    labelled = Labelled(target, target.encode(labels), np.arange(len(labels)))
    fit = ridge_loo(features, labelled.matrix, groups=labelled.groups, alphas=[0.1])
    # an independent implementation, row by row for a few of them
    dense = labelled.matrix.rows(slice(0, len(labels)))
    spread = features.std(axis=0)
    divisor = np.sqrt(spread**2 + (FLOOR * np.median(spread[spread > 0])) ** 2)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, divisor, 1.0)
    for row in (0, 7, 31):
        rest = np.arange(len(labels)) != row
        other = Ridge(alpha=fit.penalty).fit(scaled[rest], dense[rest])
        np.testing.assert_allclose(
            fit.loo[row], np.ravel(other.predict(scaled[[row]])), rtol=1e-6, atol=1e-8
        )
    prediction = target.link(fit.loo, target.calibrate(fit.loo, labelled.truth))
    right = target.right(prediction, labelled.truth)
    assert right.mean() > target.chance(labelled.truth)
    assert target.decide(prediction).shape == labels.shape
    assert prediction.shape == (len(labels), target.n_outputs)


def test_rows_of_labelled_keep_what_belongs_to_them() -> None:
    target, _, labels = digits()
    weights = target.row_weights(labels, target.output_weights(labels, "balanced"))
    whole = Labelled(target, labels, np.arange(300) // 2, weights)
    part = whole[np.array([5, 0])]
    assert (part.truth.tolist(), part.groups.tolist()) == (labels[[5, 0]].tolist(), [2, 0])
    assert part.weights is not None and weights is not None
    np.testing.assert_array_equal(part.weights, weights[[5, 0]])


def test_classes_that_do_not_exist_are_named() -> None:
    with pytest.raises(InputError, match="0 to 2"):
        SingleLabel(3).encode([0, 3])
    with pytest.raises(InputError, match="3 class weights"):
        SingleLabel(3).row_weights(np.array([0]), np.ones(2))
