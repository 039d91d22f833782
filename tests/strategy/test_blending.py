"""Options are averaged on few images: which, in which order, within which cost, and how scored."""

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
TRUTH = np.arange(30) % 3
FEW = FEW_IMAGES - 1


def guesses(seed: int, strength: float) -> npt.NDArray[np.float64]:
    """Probabilities that know the truth the better the larger ``strength`` is."""
    logits = np.random.default_rng(seed).normal(size=(30, 3)) + strength * np.eye(3)[TRUTH]
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def standing(
    name: str, strength: float, *, seconds: float = 1.0, head: bool = False
) -> RaceEntryState:
    action = TapsHead(taps=["layer4"]) if head else FullTraining(recipe=RECIPE)
    entry = Entry(Proposal(name, "head" if head else "cut", action, None, seconds), action, 0.0)
    seed = sum(map(ord, name))
    judged = {
        fold: FoldResult.of(
            SingleLabel(3), guesses(seed + fold, strength), TRUTH, np.arange(30) + 30 * fold
        )
        for fold in (0, 1, 2)
    }
    return RaceEntryState(entry, entry, judged)


@pytest.fixture
def race() -> list[RaceEntryState]:
    stopped = standing("behind", 9.0)
    stopped.judged.pop(1), stopped.judged.pop(2)
    stopped.behind = 0.1
    return [standing("head", 1.0, head=True), standing("a", 2.0), stopped, standing("b", 1.5)]


def test_all_finalists_are_averaged_the_best_first(race: list[RaceEntryState]) -> None:
    blended = blend_of(race, n_images=FEW)
    assert blended is not None
    assert [member.name for member in blended.members] == ["a", "b", "head"]
    assert blended.proposal.name == "average of 'a', 'b' and 'head'"
    assert blended.proposal.strategy == "cut"
    assert isinstance(blended.proposal.action, Blend)
    kinds = [action.kind for action in blended.proposal.action.members]
    assert kinds == ["full", "full", "taps_head"]
    assert blended.proposal.seconds == 3.0


def test_enough_images_need_no_average(race: list[RaceEntryState]) -> None:
    assert blend_of(race, n_images=FEW_IMAGES) is None


def test_what_the_budget_does_not_pay_for_is_passed_over() -> None:
    race = [standing("head", 1.0, seconds=0.0, head=True), standing("a", 2.0, seconds=8.0)]
    race += [standing("b", 1.8, seconds=5.0), standing("c", 1.5, seconds=2.0)]
    blended = blend_of(race, n_images=FEW, seconds=10.0)
    assert blended is not None
    assert [member.name for member in blended.members] == ["a", "c", "head"]
    assert blend_of(race[:2], n_images=FEW, seconds=7.0) is None


def test_the_score_is_that_of_the_mean_probabilities(race: list[RaceEntryState]) -> None:
    blended = blend_of(race, n_images=FEW)
    assert blended is not None
    right, log_score, alone = [], [], []
    for fold in (1, 2):
        each = [race[i].judged[fold].probabilities for i in (0, 1, 3)]
        mean = np.mean([p for p in each if p is not None], axis=0)
        right.append(mean.argmax(axis=1) == TRUTH)
        log_score.append(np.log(mean[np.arange(30), TRUTH]))
        alone.append(np.log(race[1].judged[fold].p_true))
    accuracy = float(np.concatenate(right).mean())
    assert blended.result.score == pytest.approx(accuracy)
    error = np.sqrt(accuracy * (1 - accuracy) / 60)
    assert blended.result.standard_error == pytest.approx(error)
    assert blended.reason.log_loss == pytest.approx(-np.mean(log_score))
    assert blended.reason.log_loss_alone == pytest.approx(-np.mean(alone))
    assert blended.reason.leading == "a"


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
