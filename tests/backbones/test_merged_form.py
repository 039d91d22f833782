"""Weights of networks whose branches were merged before they were written."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from frostline.backbones.fingerprints import classifier_names
from frostline.backbones.load.fitting_weights import load_weights_file
from frostline.backbones.load.merged_form import merged_form, take_form_of
from frostline.core.errors import BackboneError

SIZE = 64
#: by what their layers call it: reparameterize, fuse (the classifier too)
NETWORKS: dict[str, dict[str, object]] = {
    "repghostnet_050": {},
    "repvit_m0_9": {"embed_dim": (8, 16, 24, 32)},
}


def made(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    net: nn.Module = timm.create_model(name, **NETWORKS[name], **options)
    with torch.no_grad():
        net(torch.randn(8, 3, SIZE, SIZE))
    return net.eval()


def features(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = net.eval().forward_features(images)  # type: ignore[operator]
    return found


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("classes", [1000, 7])
def test_a_network_takes_the_form_of_its_weights(name: str, classes: int, tmp_path: Path) -> None:
    theirs = made(name, num_classes=classes)
    merged = timm.utils.reparameterize_model(theirs)
    torch.save({"state_dict": merged.state_dict()}, tmp_path / "w.pth")
    net = timm.create_model(name, **NETWORKS[name])
    notes = " ".join(load_weights_file(net, tmp_path / "w.pth"))
    assert "merged for inference" in notes
    assert ("was replaced" in notes) == (classes != 1000)
    assert list(net.state_dict()) == list(merged.state_dict())
    assert net.training
    images = torch.randn(2, 3, SIZE, SIZE)
    found = features(net, images)
    assert torch.equal(found, features(merged, images))
    branches = features(theirs, images)
    assert (found - branches).abs().max() < 1e-4 * branches.std()
    # what classifies is known under the name that it has now
    layers = [net.get_submodule(path) for path in classifier_names(net)]
    assert layers
    assert all(isinstance(layer, nn.Linear) for layer in layers)


def test_branches_stay_where_weights_have_them(tmp_path: Path) -> None:
    theirs = made("repvit_m0_9")
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    net = timm.create_model("repvit_m0_9", **NETWORKS["repvit_m0_9"])
    assert load_weights_file(net, tmp_path / "w.pth") == ()
    assert list(net.state_dict()) == list(theirs.state_dict())


def test_merged_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    merged = merged_form(timm.create_model("mobileone_s0"))
    assert merged is not None
    torch.save(merged.state_dict(), tmp_path / "w.pth")
    net = timm.create_model("repghostnet_050")
    names = list(net.state_dict())
    with pytest.raises(BackboneError, match="does not fit") as caught:
        load_weights_file(net, tmp_path / "w.pth")
    assert "reparameterised" in caught.value.hint
    assert "architecture that these weights were trained with" in caught.value.hint
    assert list(net.state_dict()) == names


def test_names_up_to_a_cut_tell_the_form() -> None:
    net = made("repghostnet_050")
    names = list(net.state_dict())
    take_form_of(net, [name for name in names if name.startswith(("conv_stem", "blocks.0"))])
    take_form_of(net, ["nobody.weight"])
    assert list(net.state_dict()) == names
    merged = merged_form(net)
    assert merged is not None
    own = [name for name in merged.state_dict() if name.startswith("blocks.0")]
    take_form_of(net, own)
    assert list(net.state_dict()) == list(merged.state_dict())


def test_networks_without_branches_have_no_such_form() -> None:
    assert merged_form(timm.create_model("test_resnet")) is None
