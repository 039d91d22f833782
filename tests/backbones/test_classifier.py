"""Whatever a plan asks for answers the same questions."""

from __future__ import annotations

import pytest
import torch

from frostline.backbones.heads.classifiers import empty_classifier
from frostline.backbones.heads.fitted_classifier import tensor_prefix
from frostline.backbones.heads.head_input import WithHeadInput
from frostline.backbones.network import Network
from frostline.core.actions import Action, Blend, FullTraining, Recipe, SuffixTraining, TapsHead

RECIPE = Recipe(epochs=1, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network.load("resnet10t", pretrained=False)


def actions() -> dict[str, Action]:
    taps = TapsHead(taps=["layer2", "layer4"])
    suffix = SuffixTraining(keep_to="layer3", freeze_to="layer2", new_block=True, recipe=RECIPE)
    full = FullTraining(recipe=RECIPE)
    return {
        "taps": taps,
        "suffix": suffix,
        "full": full,
        "blend": Blend(members=[full, taps, suffix]),
        "trained": Blend(members=[suffix, full]),
    }


@pytest.mark.parametrize("kind", actions())
def test_logits_and_the_input_of_the_head_are_those_of_the_pieces(
    kind: str, network: Network
) -> None:
    torch.manual_seed(1)
    module = empty_classifier(actions()[kind], network.copy, n_outputs=3).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for one, _ in module.averaged:
            assert torch.equal(one.read(one.behind_new_block(one.feature_maps(x))), one(x))
        logits, seen = WithHeadInput(module, module.frozen_leader.head)(x)
        assert torch.equal(logits, module(x))
        assert torch.equal(module.frozen_leader.head_input(x), seen)
    assert module.in_space


@pytest.mark.parametrize("kind", actions())
def test_kept_layers_are_found_under_their_names(kind: str, network: Network) -> None:
    action = actions()[kind]
    module = empty_classifier(action, network.copy, n_outputs=3)
    assert tensor_prefix(action) == module.tensor_prefix
    names = module.network_names(module.state_dict())
    assert names == set(module.leader.kept_layers.state_dict())
    assert names <= set(network.module.state_dict())


def test_one_leads_the_race_and_another_keeps_the_features(network: Network) -> None:
    module = empty_classifier(actions()["blend"], network.copy, n_outputs=3)
    members = [one for one, _ in module.averaged]
    assert module.leader is members[0]
    assert module.frozen_leader is members[1]
    low, middle, high = (network.cut(f"layer{i}").name for i in (2, 3, 4))
    assert [one.cuts for one in members] == [(high,), (low, high), (middle,)]
    trained = empty_classifier(actions()["trained"], network.copy, n_outputs=3)
    assert trained.frozen_leader is trained.leader


def test_an_action_answers_for_its_leader_and_its_members() -> None:
    found = actions()
    blend = found["blend"]
    assert blend.leader == found["full"]
    assert (blend.cut, blend.epochs, blend.closed_form) == (None, 0, False)
    assert blend.taps == ["layer2", "layer4"]
    assert (found["taps"].cut, found["taps"].closed_form) == ("layer4", True)
    assert (found["suffix"].cut, found["suffix"].frozen_to) == ("layer3", "layer2")
    assert found["full"].trains_all and not found["suffix"].trains_all
    longer = SuffixTraining(freeze_to="layer2", recipe=RECIPE).with_epochs(3)
    assert (longer.epochs, longer.recipe.patience) == (3, 3)
    assert found["taps"].with_epochs(9) is found["taps"]
