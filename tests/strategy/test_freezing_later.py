"""Options that train all layers freeze the lower half of the work after a quarter of the epochs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frostline.backbones.network import Network
from frostline.core.actions import FullTraining
from frostline.strategy.candidates.finetune_all import FIRMLY, GENTLY
from frostline.strategy.cost import Span, training_seconds
from frostline.strategy.decide import decide, every_option
from frostline.strategy.race import plan_race
from frostline.wording.why import headline
from tests.strategy.test_decide import context_of, summary

USUALLY = "fine-tune the whole network"


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.load("test_resnet", pretrained=False)


def test_the_middle_divides_the_work_most_evenly(network: Network) -> None:
    plain = network.summary()
    middle = plain.middle
    assert middle is not None
    off = {cut.name: abs(cut.depth - 0.5) for cut in plain.stage_ends}
    assert off[middle.name] == min(off.values())
    assert replace(plain, cuts=(plain.last,), last=replace(plain.last, index=0)).middle is None


def test_fine_tuning_freezes_the_lower_half_later(network: Network) -> None:
    made = context_of(network, summary(network, n=600), budget="99h")
    options = {option.name: option for option in every_option(made)}
    middle = made.network.middle
    assert middle is not None
    action = options[USUALLY].action
    assert isinstance(action, FullTraining)
    assert action.freeze_later is not None
    assert action.freeze_later.freeze_to == middle.name
    assert action.freeze_later.full_epochs(action.epochs) == round(action.epochs / 4)
    counted = training_seconds(
        made.network,
        Span(later=action.freeze_later),
        n_images=600,
        epochs=action.epochs,
        device="cpu",
    )
    assert options[USUALLY].seconds == pytest.approx(counted)
    # at other rates it was not shown to keep the accuracy, and from a random head all has to move
    for name in (GENTLY, FIRMLY, "train the whole network"):
        assert options[name].action.frozen_later is None


def test_a_budget_pays_for_more_of_such_epochs(network: Network) -> None:
    def epochs(*, later: bool) -> int:
        made = context_of(network, summary(network, n=600), budget="20s")
        option = next(o for o in every_option(made) if o.name == USUALLY)
        span = option.action.frozen_later if later else None
        return made.work(freeze_to=None, keep_to=None, most_epochs=10_000, later=span).epochs

    assert epochs(later=True) > epochs(later=False)


def test_the_race_counts_both_parts(network: Network) -> None:
    made = context_of(network, summary(network, n=600), budget="99h")
    option = next(o for o in every_option(made) if o.name == USUALLY)
    whole = replace(option, action=option.action.model_copy(update={"freeze_later": None}))
    assert plan_race(made, [], [option]).seconds < plan_race(made, [], [whole]).seconds


def test_the_plan_says_so(network: Network) -> None:
    made = context_of(network, summary(network, n=600), strategy="finetune", budget="99h")
    plan = decide(made).plan
    middle = made.network.middle
    assert middle is not None
    assert f"; layers up to {middle.name} stay as they are after" in headline(plan)
