"""Modules of every kind of action come back from their folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from frostline.backbones.heads.classifiers import BlendClassifier, TapsClassifier, build_classifier
from frostline.backbones.load.restore import restore_module
from frostline.backbones.network import Network
from frostline.core.actions import Blend, FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.core.errors import BackboneError, RunFolderError
from frostline.core.preprocessing import Preprocessing
from frostline.exporting.save_model import save_model
from frostline.model.model import Model
from frostline.model_format.card import ModelCard

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=1, batch_size=2, learning_rate=0.1, head_learning_rate=0.1)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    return Network.load("resnet10t", pretrained=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda cut: FullTraining(recipe=RECIPE),
        lambda cut: FullTraining(keep_to=cut, new_block=True, recipe=RECIPE),
        lambda cut: SuffixTraining(keep_to=cut, freeze_to="layer1", recipe=RECIPE),
    ],
    ids=["everything", "cut and new block", "suffix"],
)
def test_trained_networks_come_back(
    tmp_path: Path,
    network: Network,
    photos: list[Image.Image],
    make: object,
) -> None:
    assert callable(make)
    action = make(network.taps[-2])
    module = build_classifier(
        network, keep_to=action.keep_to, n_outputs=3, new_block=action.new_block
    ).train()
    preprocessing = Preprocessing(size=96)
    prepared = np.stack([preprocessing.apply(photo) for photo in photos])
    with torch.no_grad():
        # statistics and weights that differ from those of a fresh network
        module(torch.from_numpy(preprocessing.normalise(prepared)))
        module.head.weight.mul_(30)
    module.eval()
    card = ModelCard(
        frostline="0.1.0",
        classes=("b", "a", "c"),
        preprocessing=preprocessing,
        backbone=network.name,
        weights_licence=network.licence,
        cut=action.keep_to,
        action=action,
        temperature=0.9,
        n_train=8,
    )
    save_model(tmp_path, module, card)

    restored = restore_module(tmp_path)
    x = torch.from_numpy(preprocessing.normalise(prepared))
    with torch.inference_mode():
        logits = restored(x)
        assert torch.equal(logits, module(x))
    expected = torch.softmax(logits.double() / 0.9, dim=1).numpy()
    found = Model.load(tmp_path, threads=1).predict_proba(photos)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_weights_of_another_network_are_refused(tmp_path: Path, network: Network) -> None:
    action = FullTraining(recipe=RECIPE)
    module = build_classifier(network, keep_to=None, n_outputs=3, new_block=False)
    card = ModelCard(
        frostline="0.1.0",
        classes=("b", "a", "c"),
        preprocessing=Preprocessing(size=64),
        backbone="resnet18",
        weights_licence="none",
        action=action,
        n_train=8,
    )
    save_model(tmp_path, module, card)
    with pytest.raises(RunFolderError, match="do not fit the network"):
        restore_module(tmp_path)


def test_a_saved_model_is_a_backbone_again(
    tmp_path: Path, network: Network, photos: list[Image.Image]
) -> None:
    copied = network.copy()
    keep = network.taps[-2]
    module = build_classifier(copied, keep_to=keep, n_outputs=3, new_block=False)
    with torch.no_grad():
        for parameter in module.kept.parameters():
            parameter.mul_(1.01)
    preprocessing = Preprocessing(size=96)
    card = ModelCard(
        frostline="0.1.0",
        classes=("a", "b", "c"),
        preprocessing=preprocessing,
        backbone=network.name,
        weights_licence="CC0",
        cut=keep,
        action=FullTraining(keep_to=keep, recipe=RECIPE),
        n_train=8,
    )
    save_model(tmp_path / "model", module.eval(), card)

    again = Network.load(tmp_path)
    assert (again.name, again.last.name, again.licence) == (network.name, keep, "CC0")
    assert again.preprocessing == preprocessing
    assert network.name in again.notes[0]
    x = torch.from_numpy(preprocessing.normalise(np.stack([preprocessing.apply(photos[0])])))
    with torch.no_grad():
        assert torch.equal(again.feature_module(x), module.kept(x))
    assert again.copy().last.name == keep
    weights = tmp_path / "model" / "weights.safetensors"
    spoilt = bytearray(weights.read_bytes())
    spoilt[-1] ^= 1
    weights.write_bytes(spoilt)
    with pytest.raises(BackboneError, match="not the file that"):
        Network.load(tmp_path)


def test_an_average_comes_back_and_its_leader_is_a_backbone_again(
    tmp_path: Path, network: Network, photos: list[Image.Image]
) -> None:
    keep = network.taps[-2]
    trained = build_classifier(network.copy(), keep_to=keep, n_outputs=3, new_block=False)
    head = TapsClassifier(network, list(network.taps[-2:]), n_outputs=3)
    with torch.no_grad():
        for parameter in trained.kept.parameters():
            parameter.mul_(1.01)
        trained.head.weight.mul_(30)
    module = BlendClassifier([trained, head], [0.7, 1.9], [0.75, 0.25]).eval()
    preprocessing = Preprocessing(size=96)
    card = ModelCard(
        frostline="0.1.0",
        classes=("b", "a", "c"),
        preprocessing=preprocessing,
        backbone=network.name,
        weights_licence="CC0",
        action=Blend(
            members=[
                FullTraining(keep_to=keep, recipe=RECIPE),
                TapsHead(taps=list(network.taps[-2:])),
            ],
            weights=[0.75, 0.25],
        ),
        temperature=1.3,
        n_train=8,
    )
    save_model(tmp_path, module, card)
    x = torch.from_numpy(
        preprocessing.normalise(np.stack([preprocessing.apply(photo) for photo in photos]))
    )
    restored = restore_module(tmp_path)
    with torch.inference_mode():
        logits = restored(x)
        assert torch.equal(logits, module(x))
    expected = torch.softmax(logits.double() / 1.3, dim=1).numpy()
    found = Model.load(tmp_path, threads=1).predict_proba(photos)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    again = Network.load(tmp_path)
    assert again.last.name == keep
    with torch.no_grad():
        assert torch.equal(again.feature_module(x), trained.kept(x))
