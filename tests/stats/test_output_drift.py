"""Shares of classes, labels and means of numbers against training: found, and as sure as said."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frostline.core.arrays import FloatArray
from frostline.stats.output_drift import class_changes, label_changes, number_changes

TRAINED = np.array([0.5, 0.3, 0.2])


def calibrated(
    random: np.random.Generator, truth: npt.NDArray[Any], prior: FloatArray
) -> FloatArray:
    """Probabilities for the shares ``prior`` of images whose class shows through noise."""
    seen = 1.5 * np.eye(len(prior))[truth.astype(int)] + random.normal(
        size=(len(truth), len(prior))
    )
    logits = 1.5 * seen + np.log(prior)
    found: FloatArray = np.exp(logits - logits.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("shares", [TRAINED, np.array([0.2, 0.3, 0.5])])
def test_intervals_hold_the_shares_as_often_as_they_say(shares: FloatArray) -> None:
    held, moved = [], []
    for seed in range(200):
        random = np.random.default_rng(seed)
        truth = random.choice(3, size=300, p=shares)
        found = class_changes(calibrated(random, truth, TRAINED), TRAINED, 5000)
        held += [
            one.interval[0] <= s <= one.interval[1] for one, s in zip(found, shares, strict=True)
        ]
        moved.append(found[0].p_adjusted < 0.05)
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(moved) > 0.99 if shares[0] < 0.5 else np.mean(moved) <= 0.08


def test_shares_that_probabilities_were_calibrated_for_need_not_be_those_of_training() -> None:
    random = np.random.default_rng(1)
    truth = random.choice(3, size=2000, p=TRAINED)
    even = np.full(3, 1 / 3)
    probabilities = calibrated(random, truth, even)
    found = class_changes(probabilities, TRAINED, 5000, calibrated=even)
    assert [one.now for one in found] == pytest.approx(TRAINED, abs=0.04)


def test_a_label_and_a_number_that_changed_are_told_from_those_that_did_not() -> None:
    random = np.random.default_rng(2)
    columns = [
        calibrated(random, random.random(500) < share, np.array([0.7, 0.3]))[:, 1]
        for share in (0.3, 0.7)
    ]
    same, more = label_changes(np.stack(columns, axis=1), np.array([0.3, 0.3]), 5000)
    assert same.p_adjusted > 0.05
    assert more.p_adjusted < 0.01
    assert more.now == pytest.approx(0.7, abs=0.08)
    values = random.normal([0.0, 0.5], 1.0, size=(400, 2))
    same, more = number_changes(values, np.zeros(2), np.ones(2), 5000)
    assert same.p_adjusted > 0.05
    assert more.p_adjusted < 0.01
