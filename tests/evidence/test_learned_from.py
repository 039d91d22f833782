"""What each kind of network is compared with, from the fit's settings to the label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.layers import LayerNorm2d
from timm.models.byobnet import RepVggBlock
from timm.models.fastvit import MobileOneBlock
from timm.utils.model import reparameterize_model
from torch import nn

from benchmarks.vit.network import LETTERS, load
from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.errors import SettingsError
from frostline.core.plan import ShiftEvidence
from frostline.core.preprocessing import Preprocessing
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog
from frostline.data.sources.open_source import open_source
from frostline.evidence.learned_from import LearnedFrom, shift_of
from frostline.evidence.source_pictures import SourcePictures
from frostline.fitting.pretraining import learned_from

SIZE = 64


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Windows of two photos: a class each."""
    from sklearn.datasets import load_sample_images

    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    for i in range(24):
        photo = load_sample_images().images[i % 2]
        side = int(random.integers(120, 420))
        y, x = random.integers(photo.shape[0] - side), random.integers(photo.shape[1] - side)
        place = folder / f"photo {i % 2}"
        place.mkdir(exist_ok=True)
        window = Image.fromarray(photo[y : y + side, x : x + side])
        window.resize((96, 96)).save(place / f"{i}.png")
    return open_source(folder, group_by=None)


Shift = Callable[[Network, LearnedFrom], ShiftEvidence]


@pytest.fixture
def shift(photos: Catalog) -> Shift:
    def measured(network: Network, what: LearnedFrom) -> ShiftEvidence:
        runtime = Runtime(threads=1)
        frozen: Frozen = run_frozen(network, photos, runtime)
        rows = np.arange(len(photos))
        return shift_of(frozen, rows, runtime, learned_from=what, seed=0)

    return measured


def opened(module: nn.Module) -> Network:
    example = torch.rand(2, 3, SIZE, SIZE)
    return Network.load(module.eval(), preprocessing=Preprocessing(size=SIZE), example=example)


def timm_network(name: str, **options: Any) -> Network:
    torch.manual_seed(0)
    return opened(timm.create_model(name, **options))


@pytest.mark.slow
def test_a_network_of_letters_is_judged_by_letters_or_not_at_all(shift: Shift) -> None:
    unknown = shift(load(), None)
    assert (unknown.label, unknown.measure, unknown.layers) == ("unknown", "none", [])
    assert "pretrained_on" in unknown.warnings[0]
    found = shift(load(), SourcePictures(LETTERS))
    assert (found.label, found.measure, found.n_reference) == ("different", "source pictures", 64)
    # the photos of the package would say otherwise, which is why nobody takes them unasked
    assert shift(load(), "photos").distance < found.distance


@pytest.mark.slow
def test_batch_norm_without_a_card_keeps_its_own_rule(shift: Shift) -> None:
    said = [shift(timm_network("resnet10t"), what) for what in (None, "photos")]
    assert said[0] == said[1], "what is stored is known better than what is said"
    assert said[0].measure == "batchnorm" and "rough" in said[0].warnings[0]


@pytest.mark.slow
def test_merged_networks_are_not_known_or_measured_where_norms_are_left(shift: Shift) -> None:
    def network(*, above: nn.Module) -> nn.Sequential:
        torch.manual_seed(0)
        blocks = [MobileOneBlock(3, 8, 3, stride=2), RepVggBlock(8, 8), above, RepVggBlock(8, 8)]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]
        return nn.Sequential(*blocks, *head).eval()

    plain = network(above=nn.Identity())
    assert shift(opened(plain), "photos").measure == "batchnorm"
    merged = opened(reparameterize_model(plain))
    assert not merged.family.running_statistics
    found = shift(merged, "photos")
    assert (found.measure, found.label, found.layers) == ("none", "unknown", [])
    # a norm layer that cannot be merged is measured, and against pictures
    left = shift(opened(reparameterize_model(network(above=LayerNorm2d(8)))), "photos")
    assert (left.measure, [one.layer for one in left.layers]) == ("reference pictures", ["2"])


def test_what_a_network_learned_from_follows_from_its_name_or_is_said(tmp_path: Path) -> None:
    def said(**settings: Any) -> LearnedFrom:
        return learned_from(Settings(**settings))

    for name in (
        "vit_small_patch14_dinov2.lvd142m",
        "torchvision:vit_b_16",
        "hf-hub:timm/deit_tiny",
    ):
        assert said(backbone=name) == "photos"
    address = "https://huggingface.co/somebody/vit"
    for name in ("hf-hub:somebody/vit", address, "local-dir:/somewhere", str(tmp_path)):
        assert said(backbone=name) is None
    assert said(backbone="vit_large_patch16_dinov3.sat493m") is None, "satellites"
    assert said(backbone=f"deit_tiny_patch16_224,{tmp_path}") is None
    own = {"backbone": "deit_tiny_patch16_224", "weights": tmp_path / "own.safetensors"}
    assert said(**own) is None
    assert said(**own, pretrained_on="photos") == "photos"
    assert said(**own, pretrained_on=str(tmp_path)) == SourcePictures(tmp_path)
    with pytest.raises(SettingsError, match="pretrained_on"):
        Settings(pretrained_on="")
