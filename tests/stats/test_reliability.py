"""Bins of confidence against a slow version, scikit-learn and what they are made of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.calibration import calibration_curve

from frostline.core.errors import InputError
from frostline.stats.intervals import wilson
from frostline.stats.reliability import (
    calibration_error,
    chance_calibration_error,
    reliability,
)
from frostline.stats.scores import score

Array = npt.NDArray[Any]


def made_up(n: int, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.3, 1.0, n)
    return confidence, random.uniform(size=n) < confidence**2


def test_bins_equal_the_quantile_bins_of_scikit_learn() -> None:
    confidence, right = made_up(900)
    found = reliability(confidence, right, bins=9)
    share, mean = calibration_curve(right, confidence, n_bins=9, strategy="quantile")
    assert [one.n for one in found] == [100] * 9
    np.testing.assert_allclose([one.accuracy for one in found], share)
    np.testing.assert_allclose([one.confidence for one in found], mean)


def test_bins_equal_a_slow_version() -> None:
    confidence, right = made_up(211, seed=4)
    order = np.argsort(confidence)
    for i, one in enumerate(reliability(confidence, right)):
        rows = order[i * 211 // 15 : (i + 1) * 211 // 15]
        assert one.n == len(rows)
        assert one.low == confidence[rows].min()
        assert one.high == confidence[rows].max()
        assert one.confidence == pytest.approx(confidence[rows].mean())
        assert one.accuracy == pytest.approx(right[rows].mean())
        assert one.interval == wilson(int(right[rows].sum()), len(rows))


def test_the_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    random = np.random.default_rng(1)
    p = random.dirichlet(np.ones(4), 300)
    labels = random.integers(0, 4, 300)
    found = score(p, labels)
    gaps = [one.n / 300 * abs(one.confidence - one.accuracy) for one in found.reliability]
    assert found.ece == pytest.approx(sum(gaps))
    assert calibration_error(found.reliability) == found.ece
    assert sum(one.n for one in found.reliability) == 300


def test_equal_confidences_share_a_bin() -> None:
    confidence = np.repeat([0.4, 0.9], [3, 50])
    found = reliability(confidence, confidence > 0.5)
    assert [(one.n, one.accuracy) for one in found] == [(3, 0.0), (50, 1.0)]
    assert [one.confidence for one in found] == pytest.approx([0.4, 0.9])


def test_few_images_make_few_bins() -> None:
    (one,) = reliability([0.7], [True])
    assert (one.n, one.low, one.high, one.accuracy) == (1, 0.7, 0.7, 1.0)
    assert len(reliability([0.3, 0.8], [False, True])) == 2


def test_scores_write_them_as_plain_json() -> None:
    written = score(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0])).to_json(["a", "b"])
    bins = json.loads(json.dumps(written, allow_nan=False))["reliability"]
    assert [one["n"] for one in bins] == [1, 1]
    assert bins[0]["confidence"] == pytest.approx(0.6)
    assert bins[0]["interval"] == list(wilson(0, 1))


@pytest.mark.parametrize(
    ("confidence", "right", "bins", "words"),
    [
        ([], [], 15, "at least one"),
        ([0.5, 0.6], [True], 15, "shapes"),
        ([0.5], [True], 0, "at least 1"),
        ([1.5], [True], 15, "between 0 and 1"),
        ([float("nan")], [True], 15, "between 0 and 1"),
    ],
)
def test_wrong_input_is_named(
    confidence: list[float], right: list[bool], bins: int, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        reliability(confidence, right, bins=bins)


def test_what_chance_alone_shows() -> None:
    random = np.random.default_rng(0)
    p = random.uniform(0.3, 1.0, 600)
    errors = [calibration_error(reliability(p, random.uniform(size=600) < p)) for _ in range(400)]
    assert chance_calibration_error(p) == pytest.approx(np.mean(errors), rel=0.05)
    assert chance_calibration_error(np.ones(20)) == 0.0
    with pytest.raises(InputError):
        chance_calibration_error([])
