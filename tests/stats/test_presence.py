"""A label is told present, absent or either, and what is told holds as often as it says."""

from __future__ import annotations

import numpy as np

from frostline.stats.conformal import PredictionSets, TooFewCases
from frostline.stats.presence import fit_presence, presences, two_answers


def test_images_with_a_rare_label_are_covered_by_themselves() -> None:
    rng, has, lacks = np.random.default_rng(0), [], []
    for _ in range(100):
        truth = (rng.random(3000) < 0.02).astype(np.int64)
        told = two_answers(1 / (1 + np.exp(5 - 3.0 * truth - 1.5 * rng.normal(size=3000))))
        found = fit_presence(told[:2000], truth[:2000], np.arange(2000), scoring="split")
        assert isinstance(found, PredictionSets)
        sets, judged = found.conforming(told[2000:]), truth[2000:]
        has.append(sets[judged == 1, 1].mean())
        lacks.append(sets[judged == 0, 0].mean())
    # one threshold for both would call the label absent everywhere
    assert 0.94 < np.mean(has) < 0.985
    assert 0.945 < np.mean(lacks) < 0.955


def test_too_few_images_on_either_side_are_said() -> None:
    truth = np.array([1] * 18 + [0] * 200)
    told = two_answers(truth * 0.5 + 0.2)
    alone = np.arange(218)
    assert fit_presence(told, truth, alone, scoring="cross") == TooFewCases(19, 18)
    assert fit_presence(told, 1 - truth, alone, scoring="cross") == TooFewCases(19, 18)


def test_what_a_set_leaves_open_is_named() -> None:
    sets = np.array([[True, False], [False, True], [True, True]])
    assert presences(sets) == ["absent", "present", "either"]
