"""What is said of the shift: no more than was measured, and against what."""

from __future__ import annotations

from typing import Any

import pytest

from frostline.core.plan import ShiftEvidence
from frostline.wording.shift import chart_words, compared_with, looks, shift_label, shift_sentence


def shift(**changes: Any) -> ShiftEvidence:
    values: dict[str, Any] = {
        "measure": "reference pictures",
        "n_images": 64,
        "distance": 0.3,
        "interval": (0.2, 0.4),
        "relative": None,
        "early": 0.1,
        "middle": 0.2,
        "late": 0.6,
        "kind": "feature",
        "label": "different",
        "layers": [],
        "noise": 0.02,
        "n_reference": 40,
    }
    return ShiftEvidence(**{**values, **changes})


@pytest.mark.parametrize("label", ["similar", "moderate", "different", "unknown"])
@pytest.mark.parametrize("measure", ["reference pictures", "batchnorm", "none"])
def test_only_what_was_compared_is_named(label: str, measure: str) -> None:
    pictures = measure == "reference pictures"
    found = shift(label=label, measure=measure, n_reference=40 if pictures else 0)
    said = [shift_sentence(found), looks(found), chart_words(found)]
    for words in said[:2] if label == "unknown" else said:
        assert ("40 photos that come with Frostline" in words) == (pictures and label != "unknown")
    if label == "unknown":
        assert shift_label(found) == "not known"
        assert "not known" in said[0]
        assert "not known" in said[1]
        assert not any(word in said[0] for word in ("mostly", "look like", "0.30"))
    else:
        assert shift_label(found) == label
        assert "shift 0.30 [0.20, 0.40]" in said[0]
    assert "learned from" not in " ".join(said)
    assert "always saw" not in " ".join(said)


def test_a_place_is_named_only_where_it_was_measured() -> None:
    assert "mostly in the last layers" in shift_sentence(shift())
    assert "mostly in the first layers" in shift_sentence(shift(kind="input"))
    assert "mostly" not in shift_sentence(shift(kind="unknown"))
    assert "mostly" not in shift_sentence(shift(label="similar", kind="none"))


def test_plans_of_earlier_versions_say_what_they_compared_with() -> None:
    assert compared_with(shift(measure="reference photos", n_reference=0)) == (
        "crops of two ordinary photos"
    )
