"""Answers keep the bound on wrong ones, and say when none can be kept."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.abstention import NeverSure, fit_abstention
from frostline.stats.conformal import TooFewCases


def _drawn(n: int, seed: int, *, noise: float = 0.0) -> tuple[FloatArray, IntArray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, size=n)
    logits = random.normal(size=(n, 4))
    logits[np.arange(n), truth] += 2.5
    powers = np.exp(2.5 * logits)
    flipped = random.random(n) < noise
    truth[flipped] = random.integers(0, 4, size=int(flipped.sum()))
    return powers / powers.sum(axis=1, keepdims=True), truth


def _kept(bound: float, seed: int) -> tuple[float, int]:
    probabilities, truth = _drawn(3000, seed)
    answers = probabilities.argmax(axis=1)
    known, new = slice(0, 1000), slice(1000, None)
    found = fit_abstention(probabilities[known], truth[known], np.arange(1000), answers[known])
    thresholds = found.thresholds(bound)
    assert isinstance(thresholds, np.ndarray)
    sure = probabilities[new].max(axis=1) >= thresholds[answers[new]]
    return float((answers[new] != truth[new])[sure].sum()), int(sure.sum())


@pytest.mark.parametrize("bound", [0.02, 0.05])
def test_on_average_no_more_answers_are_wrong_than_asked_for(bound: float) -> None:
    wrong, answered = np.array([_kept(bound, seed) for seed in range(200)]).T
    assert (wrong / answered).mean() <= 1.05 * bound
    # and it is no empty promise: most images are answered, and errors are near the bound
    assert answered.mean() > 1000
    assert (wrong / answered).mean() >= 0.4 * bound


def test_a_stricter_bound_answers_fewer() -> None:
    probabilities, truth = _drawn(2000, 0)
    answers = probabilities.argmax(axis=1)
    found = fit_abstention(probabilities, truth, np.arange(2000), answers)
    steps = found.together.steps
    assert all(a.wrong > b.wrong and a.threshold < b.threshold for a, b in pairwise(steps))
    assert steps[0].threshold == 0.0
    assert len(steps) <= 48
    reached = [found.together.reaching(bound) for bound in (0.1, 0.05, 0.02)]
    shares = [0.0 if step is None else step.answered for step in reached]
    assert shares == sorted(shares, reverse=True)


def test_few_cases_and_a_model_that_is_never_sure_are_told_apart() -> None:
    probabilities, truth = _drawn(98, 1)
    answers = probabilities.argmax(axis=1)
    few = fit_abstention(probabilities, answers, np.arange(98), answers)
    assert few.thresholds(0.01) == TooFewCases(99, 98)
    assert isinstance(few.thresholds(0.011), np.ndarray)
    # as many images in groups of two are half as many cases
    pairs = fit_abstention(probabilities, answers, np.arange(98) // 2, answers)
    assert pairs.thresholds(0.011) == TooFewCases(90, 49)
    probabilities, truth = _drawn(2000, 2, noise=0.5)
    answers = probabilities.argmax(axis=1)
    unsure = fit_abstention(probabilities, truth, np.arange(2000), answers).thresholds(0.01)
    assert isinstance(unsure, NeverSure)
    assert unsure.lowest > 0.01


def test_a_class_that_is_often_wrong_has_a_higher_threshold() -> None:
    random = np.random.default_rng(0)
    answers = random.integers(0, 2, size=2000)
    confidence = random.uniform(0.5, 1.0, size=2000)
    # the first class is always right, the second as often as it says
    truth = np.where((answers == 1) & (random.random(2000) > confidence), 0, answers)
    probabilities = np.stack([1 - confidence, confidence], axis=1)
    probabilities[answers == 0] = probabilities[answers == 0][:, ::-1]
    found = fit_abstention(probabilities, truth, np.arange(2000), answers).thresholds(0.05)
    assert isinstance(found, np.ndarray)
    assert found[1] > found[0]
    kept = (answers == 1) & (confidence >= found[1])
    assert (truth != answers)[kept].mean() <= 0.05


def test_a_class_that_is_never_right_is_never_answered() -> None:
    answers = np.r_[np.zeros(1900, dtype=np.int64), np.ones(100, dtype=np.int64)]
    truth = np.zeros(2000, dtype=np.int64)
    probabilities = np.full((2000, 2), 0.1)
    probabilities[np.arange(2000), answers] = 0.9
    found = fit_abstention(probabilities, truth, np.arange(2000), answers).thresholds(0.06)
    assert isinstance(found, np.ndarray)
    assert found[0] == 0.0
    assert found[1] > 1.0


def test_a_bound_outside_of_its_range_is_refused() -> None:
    probabilities, truth = _drawn(200, 0)
    found = fit_abstention(probabilities, truth, np.arange(200), truth)
    for bound in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(InputError, match=r"in \(0, 1\)"):
            found.thresholds(bound)
