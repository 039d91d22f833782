"""What people call networks: hubs, addresses, folders of timm, torchvision's own spellings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
from typer.testing import CliRunner

from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.network_names import called
from frostline.cli.main import app
from frostline.core.errors import BackboneError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("hf-hub:timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("hf_hub:timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("https://huggingface.co/timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("huggingface.co/timm/resnet18.a1_in1k/tree/main", "resnet18.a1_in1k"),
        ("timm/test_resnet", "test_resnet"),
        ("hf-hub:somebody/cells", "hf-hub:somebody/cells"),
        ("https://hf.co/somebody/cells/tree/v2", "hf-hub:somebody/cells@v2"),
        ("hf-hub:timm/resnet18.a1_in1k@abc", "hf-hub:timm/resnet18.a1_in1k@abc"),
        ("torchvision/resnet50", "torchvision:resnet50"),
        ("torchvision.models.resnet50", "torchvision:resnet50"),
        ("torchvision/resnet50.IMAGENET1K_V2", "torchvision:resnet50.IMAGENET1K_V2"),
        (" efficientnet_lite0 ", "efficientnet_lite0"),
        ("facebook/dinov2-small", "vit_small_patch14_dinov2.lvd142m"),
        ("hf-hub:facebook/dinov2-with-registers-base", "vit_base_patch14_reg4_dinov2.lvd142m"),
        ("facebook/dinov3-vits16plus-pretrain-lvd1689m", "vit_small_plus_patch16_dinov3.lvd1689m"),
        ("facebook/dinov3-convnext-tiny-pretrain-lvd1689m", "convnext_tiny.dinov3_lvd1689m"),
        ("https://huggingface.co/facebook/dino-vits16", "vit_small_patch16_224.dino"),
        ("google/siglip-base-patch16-224", "vit_base_patch16_siglip_224.webli"),
        ("google/siglip2-so400m-patch14-224", "vit_so400m_patch14_siglip_224.v2_webli"),
        ("openai/clip-vit-large-patch14-336", "vit_large_patch14_clip_336.openai"),
        ("facebook/vit-mae-huge", "vit_huge_patch14_224.mae"),
        ("facebook/deit-base-distilled-patch16-384", "deit_base_distilled_patch16_384.fb_in1k"),
        ("facebook/convnext-base-384-22k-1k", "convnext_base.fb_in22k_ft_in1k_384"),
        ("facebook/convnextv2-tiny-22k-384", "convnextv2_tiny.fcmae_ft_in22k_in1k_384"),
        ("microsoft/swin-tiny-patch4-window7-224", "swin_tiny_patch4_window7_224.ms_in1k"),
        ("microsoft/beit-base-patch16-224", "beit_base_patch16_224.in22k_ft_in22k_in1k"),
        ("apple/mobilevit-xx-small", "mobilevit_xxs.cvnets_in1k"),
        ("facebook/levit-128S", "levit_128s.fb_dist_in1k"),
    ],
)
def test_spellings_of_one_name(given: str, name: str) -> None:
    assert called(given).name == name


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("resnet50.IMAGENET1K_V2", "use torchvision:resnet50.IMAGENET1K_V2"),
        ("ResNet50_Weights.IMAGENET1K_V2", "Use torchvision:resnet50.IMAGENET1K_V2"),
        ("squeezenet1_1", "use torchvision:squeezenet1_1"),
        ("timm/resnet18.a9", "The weights of resnet18 are: .*a1_in1k"),
        ("photos/resnet/here", "a name that 'frostline models' lists"),
        ("resnet18.a9", "The weights of resnet18 are: .*a1_in1k"),
        ("somebody/cells", "Use hf-hub:somebody/cells"),
        ("RESNET18", "resnet18"),
    ],
)
def test_names_that_nobody_has_get_a_hint(given: str, hint: str) -> None:
    with pytest.raises(BackboneError, match=f"no backbone '{given}'.*{hint}"):
        called(given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("saved") / "cells"
    net = timm.create_model("test_resnet", num_classes=5)
    net.pretrained_cfg["mean"] = (0.1, 0.2, 0.3)
    timm.models.save_for_hf(net, str(home))
    return home


@pytest.mark.parametrize("way", ["local-dir:{}", "{}"])
def test_a_folder_of_timm_is_a_network(way: str, folder: Path) -> None:
    name = way.format(folder)
    source = load_source(name)
    assert source.name == "test_resnet"
    assert source.preprocessing.mean == (0.1, 0.2, 0.3)
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True)
    mine = source.net.state_dict()
    assert all(torch.equal(mine[k], v) for k, v in theirs.state_dict().items() if "fc" not in k)
    done = CliRunner().invoke(app, ["inspect", name], env={"COLUMNS": "300"})
    assert done.exit_code == 0
    assert "test_resnet, by its config.json" in done.stderr
    assert "the classifier (fc.weight has shape (5, 96), not (1000, 96)) was" in done.stderr


def test_a_folder_for_a_hub_has_the_card_of_a_model_too(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "hub")
    (tmp_path / "hub" / "model.json").write_text("{}")
    assert load_source(tmp_path / "hub").name == "test_resnet"


def test_folders_that_describe_no_network_of_timm(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for changed, said in (
        ({"architecture": "test_resnett"}, "test_resnett.*Did you mean 'test_resnet"),
        ({"architecture": None, "model_type": "vit"}, "transformers .of type 'vit'"),
        ({"pretrained_cfg": {"std": [0.0, 1.0, 1.0]}}, "std.* is out of range"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | changed))
        torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "model.pth")
        with pytest.raises(BackboneError, match=said):
            load_source(tmp_path)
    with pytest.raises(BackboneError, match="is a folder, not the name of a network"):
        load_source(f"local-dir:{folder}", folders=False)
    with pytest.raises(BackboneError, match=r"no folder of timm: it has no config\.json"):
        load_source(f"local-dir:{tmp_path / 'none'}")
