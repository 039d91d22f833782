"""One way in: names, tags, files, folders; and what is said when they cannot be had."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from frostline.backbones.load import zoo
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing

pytestmark = pytest.mark.slow


def test_torchvision_names_bring_their_own_preprocessing() -> None:
    network = Network.load("torchvision:mobilenet_v3_small", pretrained=False)
    assert network.preprocessing.mean == (0.485, 0.456, 0.406)
    assert (network.preprocessing.size, network.preprocessing.resize_to) == (224, 256)
    assert network.preprocessing.interpolation == "bilinear"
    # what its classifier reads last, not the map below
    assert network.last.aliases == ("classifier.1",)
    assert network.last.shape == (1024,)
    with pytest.raises(BackboneError, match=r"no classification network 'resnet19'.*resnet18"):
        Network.load("torchvision:resnet19", pretrained=False)
    with pytest.raises(BackboneError, match=r"no weights 'V9'.*IMAGENET1K_V1"):
        Network.load("torchvision:resnet18.V9", pretrained=False)


def test_the_deepest_map_lies_below_the_old_classifier() -> None:
    # the classifier of SqueezeNet is a convolution: its output is a map of old classes
    network = Network.load("torchvision:squeezenet1_1", pretrained=False)
    assert network.last.name.startswith("features")
    assert network.last.channels == 512


def test_a_local_file_for_a_torchvision_network(tmp_path: Path) -> None:
    state = models.resnet18(weights=None, num_classes=7).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    network = Network.load("torchvision:resnet18", weights=tmp_path / "w.safetensors")
    assert torch.equal(
        network.module.state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"]
    )
    assert (
        "classifier (fc.weight has shape (7, 512), not (1000, 512)) was replaced"
        in (network.notes[0])
    )


def test_weights_that_are_not_here_say_what_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import socket

    def unreachable(*_: object, **__: object) -> None:
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for name in ("resnet18.a1_in1k", "torchvision:resnet18"):
        with pytest.raises(
            BackboneError, match=r"not on this machine.*On this machine: efficientnet_lite0"
        ):
            Network.load(name)


def test_a_pickle_that_runs_code_is_refused_by_name(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path}/ran",)

    (tmp_path / "w.pth").write_bytes(pickle.dumps({"conv1.weight": Evil()}))
    torch.save({"state_dict": Evil()}, tmp_path / "zip.pth")
    for file in ("w.pth", "zip.pth"):
        with pytest.raises(BackboneError, match=r"would run code: (posix|nt)\.system"):
            Network.load("test_resnet", weights=tmp_path / file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str) -> None:
    state = timm.create_model("test_resnet").state_dict()
    path = tmp_path / f"w.{kind}"
    save_file(state, path) if kind == "safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    for share in (0.2, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(BackboneError, match="cannot be read as plain weights"):
            Network.load("test_resnet", weights=path)


def test_wrong_tensors_are_named_and_counted(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet").state_dict()
    path = tmp_path / "w.safetensors"
    layer = "layer1.0.conv1.weight"
    save_file({k: v for k, v in state.items() if "layer4" not in k}, path)
    missing = sum("layer4" in k and not k.endswith("num_batches_tracked") for k in state)
    with pytest.raises(BackboneError, match=rf"{missing} of {len(state)} tensors missing.*layer4"):
        Network.load("test_resnet", weights=path)
    save_file(state | {layer: torch.zeros(3, 3)}, path)
    with pytest.raises(BackboneError, match=rf"1 of .* another shape \(first: {layer} \(3, 3\), "):
        Network.load("test_resnet", weights=path)
    spoilt = state[layer].clone()
    spoilt[0] = float("nan")
    save_file(state | {layer: spoilt}, path)
    with pytest.raises(BackboneError, match=rf"spoilt: 1 of .* NaN .*{layer}.*diverged"):
        Network.load("test_resnet", weights=path)


def test_folders_and_files_that_are_no_networks(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no model folder: it has no model\.json"):
        Network.load(tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"")
    with pytest.raises(BackboneError, match="do not say which network"):
        Network.load(tmp_path / "w.safetensors")
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(BackboneError, match="damaged or of another version"):
        Network.load(str(tmp_path))


def test_a_module_keeps_its_name_and_takes_preprocessing() -> None:
    module = timm.create_model("test_resnet")
    network = Network.load(module, preprocessing=Preprocessing(size=64))
    assert (network.name, network.preprocessing.size) == ("test_resnet", 64)
    assert network.module is module
    with pytest.raises(BackboneError, match="Load the weights into the module first"):
        Network.load(module, weights=Path("w.pth"))


def test_the_zoo_agrees_with_what_is_built() -> None:
    for name in ("test_resnet", "efficientnet_lite0", "torchvision:squeezenet1_1"):
        network = Network.load(name, pretrained=False)
        entry = zoo.measured(name)
        assert entry.parameters == sum(p.numel() for p in network.module.parameters())
        assert entry.size == network.preprocessing.size
        whole = network.last.macs_before + network.last.macs_after
        assert entry.macs == pytest.approx(whole, rel=0.02)


def test_the_zoo_knows_what_is_on_this_machine() -> None:
    local = {m.name for m in zoo.listed(local=True)}
    assert {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"} <= local
    found = {m.name: m for m in zoo.listed("resnet18*")}
    assert "resnet18.a1_in1k" in found
    everything = zoo.listed()
    assert len({m.name for m in everything}) == len(everything) > 1000
    lite = next(m for m in everything if m.name == "efficientnet_lite0")
    assert (lite.licence, lite.source_accuracy, lite.local) == ("Apache-2.0", 74.8, True)
    squeeze = next(m for m in everything if m.name == "torchvision:squeezenet1_1")
    assert squeeze.source_accuracy == pytest.approx(58.178)
    assert all(m.measured.parameters > 0 for m in everything if m.origin != "timm")
