"""What a short race cannot show is added by kind and size, before options are compared."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.plan import Action, FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.growth import FITTED_GROWTH, Kind, bucket, kind_of_action, share_left
from frostline.strategy.race import Entry, Standing
from frostline.strategy.verdict import choose

RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.1, head_learning_rate=0.1, layer_decay=0.75)
HOT = RECIPE.model_copy(update={"layer_decay": 1.0})
HEAD = TapsHead(taps=["late"])


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (HEAD, "head"),
        (SuffixTraining(freeze_to="low", recipe=RECIPE), "gentle"),
        (SuffixTraining(keep_to="mid", freeze_to="low", recipe=RECIPE), "cut"),
        (FullTraining(keep_to="mid", recipe=RECIPE), "cut"),
        (FullTraining(recipe=RECIPE), "gentle"),
        (FullTraining(recipe=HOT), "firm"),
        (FullTraining(part="norms", recipe=HOT), "gentle"),
        (FullTraining(head_init="random", recipe=HOT), "full"),
    ],
)
def test_every_action_has_a_kind(action: Action, kind: Kind) -> None:
    assert kind_of_action(action) == kind
    for per_class, place in ((5.0, 0), (10.0, 1), (49.9, 1), (50.0, 2), (999.0, 2)):
        assert bucket(per_class) == place
        assert share_left(action, per_class) == FITTED_GROWTH.final[kind][place]
        assert share_left(action, per_class, share=0.25) == FITTED_GROWTH.heat[kind][place]


def test_an_option_that_has_hardly_begun_may_win_from_behind() -> None:
    right = np.arange(200) < 120
    behind = np.arange(200) < 110
    first = Entry(Proposal("head", "head", HEAD, None, 0.0), HEAD, 0.0, 0.9)
    head = Standing(first, first, {0: right})
    whole = FullTraining(head_init="random", recipe=HOT)
    proposal = Proposal("everything", "full", whole, None, 0.0)
    fast, slow = Entry(proposal, whole, 0.0, 0.9), Entry(proposal, whole, 0.0, 0.3)
    equal, young = Standing(fast, fast, {0: behind}), Standing(slow, slow, {0: behind})
    assert choose([head, equal])[0].name == "head"
    winner, reasons = choose([head, young])
    assert winner.name == "everything"
    assert young.expected([0]) == pytest.approx(1 - 0.3 * 0.45)
    assert "55.0% (86.5% after full training)" in reasons[0]
