"""The README of a published model says how sure it is, in the words of its task."""

from __future__ import annotations

from typing import Any

import numpy as np

from frostline.exporting.description import describe
from frostline.exporting.readme import readme
from frostline.model_format.card import ModelCard
from frostline.stats.number_intervals import fit_intervals
from tests.model.test_value_answers import card_of, labels_card


def numbers_card(**test: Any) -> ModelCard:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 3))
    truth[5:, 2] = np.nan
    found = fit_intervals(truth + 0.1, truth, np.arange(60), scoring="cross")
    own = card_of()
    scores = own.test.model_copy(update={"r2": 0.7, "mae": 0.5, "n": 60, **test})
    return own.model_copy(
        update={"task": "regression", "intervals": found, "temperature": 1.0, "test": scores}
    )


def said(card: ModelCard) -> str:
    return readme(card, name="x", plain=None, reason="no library has it")


def test_numbers_have_intervals_and_no_mean_over_units() -> None:
    text = said(numbers_card())
    first, second, third = numbers_card().classes
    assert f"±0.1 around {first}, ±0.1 around {second}, no interval of {third}" in text
    assert "90% of new images" in text
    assert "`interval` (N, columns, 2)" in text
    assert "Mean absolute error" not in text
    assert 'run(["values"]' in text


def test_labels_have_thresholds_sets_and_a_bound_of_their_own() -> None:
    card = labels_card(at_most_wrong=0.05)
    text = said(card)
    assert "present, absent or either" in text
    assert "Of 1 label too few images tell." in text
    assert "marks labels of an image that are too unsure for at most 0.05" in text
    assert "`set_95` (N, labels, 2)" in text
    assert "`abstain` (N, labels)" in text
    assert "probabilities >= np.array([0.4, 0.4, 0.3])" in text
    known = card.label_sets[0]
    assert known is not None
    told = describe(card, form="program", how="")["set_95"]
    assert f"absent: 1 - probabilities >= [{known.thresholds[0]}, " in told
    assert "None]; present:" in told
