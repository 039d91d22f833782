"""What a short race cannot show is added by kind and size, before options are compared."""

from __future__ import annotations

import math

import pytest

from frostline.core.actions import Action, Adapters, FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.strategy.growth import (
    FITTED_GROWTH,
    KINDS,
    Kind,
    bucket,
    extrapolate,
    kind_of_action,
    logit,
)

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
        (FullTraining(part=Adapters(rank=2, alpha=2.0), recipe=HOT), "gentle"),
        (FullTraining(head_init="random", recipe=HOT), "full"),
    ],
)
def test_every_action_has_a_kind(action: Action, kind: Kind) -> None:
    assert kind_of_action(action) == kind
    for per_class, place in ((5.0, 0), (10.0, 1), (49.9, 1), (50.0, 2), (999.0, 2)):
        assert bucket(per_class) == place
        shift = logit(extrapolate(0.5, action, per_class))
        assert shift == pytest.approx(FITTED_GROWTH[kind][place])


def test_an_option_that_has_hardly_begun_promises_more_than_it_shows() -> None:
    whole = FullTraining(head_init="random", recipe=HOT)
    for per_class in (5.0, 20.0, 200.0):
        promised = [extrapolate(0.4, action, per_class) for action in (HEAD, whole)]
        assert 0.4 < promised[0] < promised[1] < 1.0
    flat = dict.fromkeys(KINDS, (0.0, 0.0, 0.0))
    assert extrapolate(0.4, whole, 20.0, flat) == pytest.approx(0.4)
    shifted = {**flat, "full": (0.0, math.log(3.0), 0.0)}
    assert extrapolate(0.5, whole, 20.0, shifted) == pytest.approx(0.75)


def test_certainty_promises_no_more_than_certainty() -> None:
    assert 0.9 < extrapolate(1.0, HEAD, 20.0) < 1.0
    assert 0.0 < extrapolate(0.0, HEAD, 20.0) < 0.2
    assert logit(0.5) == 0.0
