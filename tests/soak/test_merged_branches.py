"""More networks of parallel branches, and one that is trained, delivered and taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import timm
import torch
from torch import nn

import frostline
from frostline.backbones.network import Network
from tests.backbones.graph_checks import settled
from tests.backbones.test_merged_branches import check_merged, check_rounding, convolutions

pytestmark = pytest.mark.soak


NETWORKS = ("mobileone_s0", "repvit_m0_9", "repghostnet_050", "lcnetv2_small", "ghostnetv3_050")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frozen_network_gives_the_same_taps_in_fewer_steps(name: str) -> None:
    check_merged(name)


@pytest.mark.parametrize("name", [*NETWORKS, "repvgg_a0", "fastvit_t8", "shvit_s1", "levit_128s"])
def test_as_the_library_makes_them_taps_differ_by_rounding_alone(name: str) -> None:
    torch.manual_seed(0)
    check_rounding(Network.load(name, pretrained=False), allowed=0)


@pytest.mark.parametrize("strategy", ["head", "cut"])
def test_merged_weights_are_fitted_delivered_and_taken_up_again(
    strategy: Literal["head", "cut"], digit_parts: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    weights, run_folder = tmp_path / "w.pth", tmp_path / "run"
    merged = timm.utils.reparameterize_model(settled(timm.create_model("repvgg_a0"), 32).plain())
    torch.save(merged.state_dict(), weights)
    frostline.fit(
        digit_parts,
        run_folder,
        backbone="repvgg_a0",
        weights=weights,
        input_size=32,
        strategy=strategy,
        budget="1s",
        cut="stages.1" if strategy == "cut" else None,
    )
    again = Network.load(run_folder)
    assert all("conv_kxk" not in name for name in again.tensor_names())
    images = sorted((digit_parts / "test").rglob("*.png"))[:4]
    assert frostline.load(run_folder).predict_proba(images).shape == (4, 3)
    if strategy == "cut":
        small = frostline.export(run_folder, tmp_path / "small.onnx", quantize="int8")
        assert small.n_bytes < 0.5 * (run_folder / "model" / "model.onnx").stat().st_size
        program = frostline.export(run_folder, tmp_path / "program", to="torch")
        assert program.form == "program"
        assert program.agreement is not None
        assert program.agreement.largest < 1e-4


def test_what_was_trained_above_a_cut_is_delivered_merged(
    digit_parts: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "w.pth"
    network = timm.create_model("mobileone_s0", pretrained=False)
    torch.save(network.state_dict(), weights)
    branches = sum(isinstance(layer, nn.Conv2d) for layer in network.modules())
    run_folder = tmp_path / "run"
    result = frostline.fit(
        digit_parts,
        run_folder,
        backbone="mobileone_s0",
        weights=weights,
        input_size=32,
        strategy="cut",
        cut="stages.1",
        budget="1s",
    )
    assert result.metrics["frozen_verified"]
    assert convolutions((run_folder / "model" / "model.onnx").read_bytes()) < branches / 3
    # the branches themselves are what is kept, and trains on
    again = Network.load(run_folder)
    assert any("identity" in name for name in again.tensor_names())
    images = sorted((digit_parts / "test").rglob("*.png"))[:4]
    assert frostline.load(run_folder).predict_proba(images).shape == (4, 3)
