"""The head's input is seen without touching what the head gives."""

from __future__ import annotations

import pytest
import torch

from frostline.backbones.heads.classifier import Classifier
from frostline.backbones.heads.classifiers import BlendClassifier, TapsClassifier, build_classifier
from frostline.backbones.heads.head_input import WithHeadInput
from frostline.backbones.network import Network


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network.load("resnet10t", pretrained=False)


def make(kind: str, network: Network) -> Classifier:
    if kind == "taps":
        return TapsClassifier(network, list(network.taps), n_outputs=3).eval()
    trained = build_classifier(network, keep_to=None, n_outputs=3, new_block=kind == "new block")
    if kind == "blend":
        return BlendClassifier([trained, make("taps", network).leader], [1.0, 2.0]).eval()
    return trained.eval()


@pytest.mark.parametrize("kind", ["taps", "whole", "new block", "blend"])
def test_logits_are_the_same_bits_and_the_head_makes_them_from_its_input(
    network: Network, kind: str
) -> None:
    module = make(kind, network)
    head = module.frozen_leader.head
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = module(x)
        logits, features = WithHeadInput(module, head)(x)
    assert torch.equal(logits, expected)
    assert features.shape == (2, head.in_features)
    if kind == "blend":
        # of an average, the member whose network stayed frozen
        assert head is module.get_submodule("members.1.head")
    else:
        with torch.no_grad():
            assert torch.equal(head(features), expected)
    assert not head._forward_pre_hooks
    assert list(WithHeadInput(module, head).state_dict()) == [
        f"module.{name}" for name in module.state_dict()
    ]
