"""What tells two models apart beside their answers."""

from __future__ import annotations

from frostline.comparing.models import card_differences
from frostline.core.preprocessing import Preprocessing
from frostline.model_format.model_folder import load_card
from frostline.stats.decision_rule import DecisionRule
from tests.comparing.conftest import MODEL


def test_only_what_differs_is_named() -> None:
    card = load_card(MODEL)
    assert not list(card_differences(card, card))
    pad = Preprocessing(**{**card.preprocessing.model_dump(), "resize": "pad"})
    other = card.model_copy(
        update={"preprocessing": pad, "at_most_wrong": 0.05, "metric": "macro_f1"}
    )
    found = {one.name: (one.a, one.b) for one in card_differences(card, other)}
    assert found["resizing"] == (f"crop, {pad.crop_pct:g}", f"pad, {pad.crop_pct:g}")
    assert found["bound on wrong answers"] == ("0.2", "0.05")
    assert found["metric"] == ("balanced_accuracy", "macro_f1")
    assert "input size" not in found


def test_thresholds_are_compared_label_by_label() -> None:
    card = load_card(MODEL)
    a, b = (
        card.model_copy(update={"classes": names, "rule": DecisionRule(thresholds=cut)})
        for names, cut in ((("x", "y", "z"), (0.5, 0.2, 0.9)), (("z", "x", "w"), (0.9, 0.4, 0.1)))
    )
    assert [(one.name, one.a, one.b) for one in card_differences(a, b)] == [
        ("threshold of x", "0.5", "0.4")
    ]
