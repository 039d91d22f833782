"""Other classes, other channels, other heads; and back to a plain network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from sklearn.linear_model import Ridge
from torch import nn
from torchvision import models

import frostline
from frostline.backbones.heads.new_heads import HEADS
from frostline.backbones.load.surgery import adapted_filters
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (lambda: timm.create_model("test_resnet"), ("fc",)),
        (lambda: timm.create_model("test_efficientnet"), ("classifier",)),
        (lambda: timm.create_model("deit_tiny_distilled_patch16_224"), ("head", "head_dist")),
        (lambda: models.mobilenet_v3_small(weights=None), ("classifier.3",)),
        (lambda: models.squeezenet1_1(weights=None), ("classifier.1",)),
        (lambda: models.densenet121(weights=None), ("classifier",)),
        (
            lambda: (
                nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
                .append(nn.Linear(8, 10))
                .append(nn.Dropout(0.1))
            ),
            ("3",),
        ),
    ],
    ids=["fc", "classifier", "two heads", "last of several", "convolution", "densenet", "own"],
)
def test_the_classifier_is_found_whatever_it_is_called(
    make: object, layer: tuple[str, ...]
) -> None:
    assert callable(make)
    module = make().eval()
    x = torch.randn(2, 3, 224, 224)
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    assert set(frostline.nn.replace_classifier(module, 7, example=x)) == set(layer)
    assert module(x).shape == (2, 7)
    for name, parameter in module.named_parameters():
        if not name.startswith(tuple(f"{path}." for path in layer)):
            assert torch.equal(parameter, before[name]), name


def test_a_network_that_ends_otherwise_is_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    with pytest.raises(BackboneError, match="No linear layer or 1x1 convolution"):
        frostline.nn.replace_classifier(module, 3, example=torch.randn(2, 3, 8, 8))


def test_a_grey_image_gives_what_its_three_channels_gave() -> None:
    torch.manual_seed(0)
    module = timm.create_model("test_resnet").eval()
    grey = torch.randn(2, 1, 96, 96)
    with torch.no_grad():
        expected = module(grey.repeat(1, 3, 1, 1))
        frostline.nn.adapt_input(module, 1)
        torch.testing.assert_close(module(grey), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [2, 4, 9])
def test_equal_channels_give_equal_outputs(channels: int) -> None:
    torch.manual_seed(0)
    module = models.resnet18(weights=None).eval()
    plane = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = module(plane.repeat(1, 3, 1, 1))
        example = torch.randn(1, 3, 64, 64)
        assert frostline.nn.adapt_input(module, channels, example=example) == ("conv1",)
        found = module(plane.repeat(1, channels, 1, 1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_more_channels_keep_red_green_and_blue() -> None:
    weight = torch.randn(5, 3, 3, 3)
    wider = adapted_filters(weight, 4)
    torch.testing.assert_close(wider[:, :3] * 4 / 3, weight)
    torch.testing.assert_close(wider[:, 3] * 4 / 3, weight.mean(dim=1))


def test_channels_can_be_given_when_loading() -> None:
    network = Network.load("test_vit", pretrained=False, input_channels=4)
    assert network.example_shape[1] == 4
    assert "4 input channels" in network.notes[0]
    assert network.module(torch.randn(2, 4, 160, 160)).shape == (2, 1000)
    assert network.prefix("norm")(torch.randn(1, 4, 160, 160)).ndim == 3


def test_rearranged_pixels_are_refused() -> None:
    module = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 3), nn.ReLU())
    with pytest.raises(BackboneError, match="reads 12 channels, not the image's 3"):
        frostline.nn.adapt_input(module, 1, example=torch.randn(1, 3, 16, 16))


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    torch.manual_seed(0)
    return {
        "map": Network.load("test_resnet", pretrained=False),
        "tokens": Network.load("test_vit", pretrained=False),
    }


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("where", ["map", "tokens"])
def test_every_head_starts_as_a_probe_and_trains(
    networks: dict[str, Network], kind: str, where: str
) -> None:
    network = networks[where]
    cut = network.feature_cuts[len(network.feature_cuts) // 2]
    if kind == "conv" and where == "tokens":
        with pytest.raises(BackboneError, match="needs a map"):
            frostline.nn.new_head(kind, cut, 3)
        return
    torch.manual_seed(0)
    head = frostline.nn.new_head(kind, cut, 3)
    prefix = network.prefix(cut.name)
    frostline.freeze(prefix)
    x = torch.randn(24, 3, 160, 160)
    labels = torch.arange(24) % 3
    with torch.no_grad():
        passing = prefix(x) + labels.view(-1, *[1] * (len(cut.shape)))
        features = head.features(passing).double().numpy()
    probe = Ridge(alpha=1.0).fit(features, np.eye(3)[labels.numpy()])
    means = np.stack([features[labels.numpy() == c].mean(axis=0) for c in range(3)], axis=1)
    head.load_probe(means if kind == "cosine" else probe.coef_.T, probe.intercept_)
    with torch.no_grad():
        logits = head.eval()(passing)
    if kind != "cosine":
        np.testing.assert_allclose(logits.numpy(), probe.predict(features), atol=1e-3)
    assert float((logits.argmax(1) == labels).float().mean()) > 0.6
    head.train()
    before = {n: p.detach().clone() for n, p in head.named_parameters() if p.requires_grad}
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(head(passing), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    moved = {n for n, p in head.named_parameters() if n in before and not torch.equal(p, before[n])}
    assert moved == set(before), "every branch learns"


def test_a_head_with_a_wrong_name_or_probe_is_refused(networks: dict[str, Network]) -> None:
    cut = networks["map"].last
    with pytest.raises(BackboneError, match=r"no head 'liner'.*linear"):
        frostline.nn.new_head("liner", cut, 3)
    with pytest.raises(BackboneError, match="this head needs"):
        frostline.nn.new_head("linear", cut, 3).load_probe(np.zeros((3, 3)), np.zeros(3))


@pytest.mark.parametrize("name", ["test_resnet", "torchvision:mnasnet0_5"])
def test_merged_parts_are_a_plain_network_again(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network.load(name, pretrained=False)
    cut = network.feature_cuts[1].name
    frostline.freeze(network.module, upto=cut, example=network.example)
    prefix, suffix = network.split(cut)
    with torch.no_grad():
        for parameter in suffix.parameters():
            parameter.mul_(1.1)
    merged = network.merge(prefix, suffix)
    assert type(merged) is type(network.plain())
    assert all(type(m).__mro__[1].__name__ != "_StaysInEval" for m in merged.modules())
    theirs = Network.load(name, pretrained=False).module
    theirs.load_state_dict(merged.state_dict(), strict=True)
    x = torch.randn(2, *network.example_shape[1:])
    with torch.no_grad():
        assert torch.equal(theirs.eval()(x), suffix.eval()(prefix.eval()(x)))
    assert merged.train().training
    assert all(m.training for m in merged.modules())
