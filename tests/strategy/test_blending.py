"""Options are averaged on few images: which, how much each counts, and how that is scored."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from frostline.backbones.network import Network
from frostline.core.actions import Blend, FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.strategy.blending import FEW_IMAGES, blend_of
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import Entry, FoldResult, RaceEntryState
from frostline.targets.single_label import SingleLabel
from frostline.training.layers import Layers

RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.1, head_learning_rate=0.1)
N = 120
TRUTH = np.arange(N) % 3
ALONE = np.arange(N)
FEW = FEW_IMAGES - 1


def guesses(seed: int, strength: float) -> npt.NDArray[np.float64]:
    """Probabilities that know the truth the better the larger ``strength`` is."""
    logits = np.random.default_rng(seed).normal(size=(N, 3)) + strength * np.eye(3)[TRUTH]
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def standing(
    name: str,
    strength: float,
    *,
    seconds: float = 1.0,
    head: bool = False,
    groups: npt.NDArray[np.int64] = ALONE,
) -> RaceEntryState:
    action = TapsHead(taps=["layer4"]) if head else FullTraining(recipe=RECIPE)
    entry = Entry(Proposal(name, "head" if head else "cut", action, None, seconds), action, 0.0)
    seed = sum(map(ord, name))
    judged = {
        fold: FoldResult.of(
            SingleLabel(3), guesses(seed + fold, strength), TRUTH, groups + N * fold
        )
        for fold in (1, 2)
    }
    return RaceEntryState(entry, judged)


@pytest.fixture
def race() -> list[RaceEntryState]:
    return [standing("head", 1.5, head=True), standing("a", 1.7), standing("b", 1.6)]


def test_what_the_race_speaks_for_is_averaged_by_weight(race: list[RaceEntryState]) -> None:
    blended = blend_of(race, n_images=FEW)
    assert blended is not None
    names = [member.name for member in blended.members]
    assert sorted(names) == ["a", "b", "head"]
    assert blended.proposal.name == f"average of '{names[0]}', '{names[1]}' and '{names[2]}'"
    assert blended.proposal.strategy == blended.members[0].proposal.strategy
    action = blended.proposal.action
    assert isinstance(action, Blend)
    kinds = {"a": "full", "b": "full", "head": "taps_head"}
    assert [one.kind for one in action.members] == [kinds[name] for name in names]
    assert action.weights is not None and sum(action.weights) == pytest.approx(1.0)
    assert action.weights == sorted(action.weights, reverse=True)
    assert blended.reason.weights == action.weights
    assert blended.proposal.seconds == 3.0


def test_who_is_far_behind_is_left_out(race: list[RaceEntryState]) -> None:
    lost = standing("lost", -1.0)
    blended = blend_of([*race, lost], n_images=FEW)
    assert blended is not None
    assert "lost" not in [member.name for member in blended.members]
    # the head is all that is left
    assert blend_of([race[0], lost], n_images=FEW) is None


def test_few_images_leave_half_to_the_head() -> None:
    """Ten images of one patient are one: they hardly speak against the prior."""
    patients = ALONE // 60
    pair = {
        name: [
            standing("head", 1.5, head=True, groups=groups),
            standing("a", 2.0, groups=groups),
        ]
        for name, groups in (("patients", patients), ("alone", ALONE))
    }
    weights = {}
    for name, members in pair.items():
        blended = blend_of(members, n_images=FEW)
        assert blended is not None
        by_name = dict(zip([m.name for m in blended.members], blended.reason.weights, strict=True))
        weights[name] = by_name["head"]
    assert weights["patients"] == pytest.approx(0.5, abs=0.06)
    assert weights["alone"] < 0.4


def test_enough_images_need_no_average(race: list[RaceEntryState]) -> None:
    assert blend_of(race, n_images=FEW_IMAGES) is None


def test_what_the_budget_does_not_pay_for_is_passed_over() -> None:
    race = [standing("head", 1.2, seconds=0.0, head=True), standing("a", 2.0, seconds=8.0)]
    race += [standing("b", 1.8, seconds=5.0), standing("c", 1.5, seconds=2.0)]
    blended = blend_of(race, n_images=FEW, seconds=10.0)
    assert blended is not None
    assert {member.name for member in blended.members} == {"a", "c", "head"}
    assert blend_of(race[:2], n_images=FEW, seconds=7.0) is None


def test_the_score_of_an_average_is_on_images_that_did_not_weigh_it() -> None:
    """Options that know nothing: weights that had seen the images would look better than each."""
    lucky = [standing("head", 0.0, head=True), *(standing(f"{i}", 0.0) for i in range(3))]
    blended = blend_of(lucky, n_images=FEW)
    assert blended is not None
    assert blended.result.score is not None
    assert blended.result.score == pytest.approx(1 / 3, abs=0.08)
    names = [m.name for m in blended.members]
    p_true = np.stack([next(s for s in lucky if s.name == name).p_true for name in names])
    seen = np.log(np.array(blended.reason.weights) @ p_true).mean()
    assert -blended.reason.log_loss < seen
    assert blended.reason.n_images == 2 * N
    assert blended.result.standard_error == pytest.approx(
        np.sqrt(blended.result.score * (1 - blended.result.score) / (2 * N))
    )


def test_layers_of_an_average_are_named_by_what_any_member_does() -> None:
    network = Network.load("resnet18", pretrained=False)
    suffix = SuffixTraining(keep_to="layer3.1", freeze_to="layer2.1", recipe=RECIPE)
    head = TapsHead(taps=[network.taps[-1]])
    parts = Layers.of(network, Blend(members=[suffix, head]))
    one = Layers.of(network, suffix)
    assert parts.trained == one.trained
    # the head needs what the other member removes
    assert parts.removed == [] and parts.cut is None
    assert not set(parts.frozen) & set(parts.trained)
    assert {*parts.frozen, *parts.trained} == set(network.layers(to=network.last.name))
    assert parts.new == ["head"]
    same = Layers.of(network, Blend(members=[suffix, suffix]))
    assert (same.cut, same.removed) == (one.cut, one.removed)
