"""The protocol is enough for a fit: one test drives classes and numbers alike."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import Ridge

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.errors import InputError
from frostline.stats.ridge import FLOOR, ridge_loo
from frostline.targets.labelled import Labelled
from frostline.targets.protocol import Target
from frostline.targets.regression import Regression
from frostline.targets.single_label import SingleLabel


def digits() -> tuple[Target, FloatArray, IntArray]:
    data = load_digits()
    return SingleLabel(10), data.data[:300], data.target[:300].astype(np.int64)


def diabetes() -> tuple[Target, FloatArray, Truth]:
    data = load_diabetes()
    return Regression(1), data.data, data.target[:, None]


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
