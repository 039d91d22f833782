"""Whether layers that were trained once still serve."""

from __future__ import annotations

import pytest

from frostline.core.run_record import TrainedBefore
from frostline.core.score_record import HeldOutScores
from frostline.fitting.refit import refit_of
from frostline.wording.refit import refit_sentence

BEFORE = TrainedBefore(frozen=0.80, reached=0.90, interval=(0.87, 0.92))


def scores(value: float, half: float) -> HeldOutScores:
    interval = (value - half, value + half)
    return HeldOutScores(method="held-out", n=500, accuracy=value, accuracy_interval=interval)


@pytest.mark.parametrize(
    ("value", "half", "due"),
    [(0.91, 0.02, False), (0.88, 0.03, False), (0.82, 0.03, True), (0.82, 0.10, False)],
)
def test_a_refit_is_due_where_chance_does_not_explain_the_loss(
    value: float, half: float, due: bool
) -> None:
    found = refit_of(BEFORE, scores(value, half))
    assert found is not None
    assert found.due is due
    assert found.kept == pytest.approx((value - 0.80) / 0.10)
    assert refit_sentence(found).startswith("A refit is due" if due else "No refit is due")
    assert found.to_json()["before"]["frozen"] == 0.80


def test_what_nobody_knows_is_not_made_up() -> None:
    assert refit_of(None, scores(0.5, 0.1)) is None
    assert refit_of(BEFORE, HeldOutScores(method="held-out", n=0)) is None
    unknown = TrainedBefore(frozen=None, reached=0.9, interval=(0.87, 0.92))
    found = refit_of(unknown, scores(0.5, 0.1))
    assert found is not None
    assert (found.kept, found.due) == (None, True)
    # training had gained nothing
    found = refit_of(BEFORE.model_copy(update={"frozen": 0.95}), scores(0.9, 0.1))
    assert found is not None
    assert found.kept is None
