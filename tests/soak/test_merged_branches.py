"""More networks of parallel branches, and one that is trained, delivered and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import frostline
from frostline.backbones.network import Network
from tests.backbones.test_merged_branches import check_merged, convolutions

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("name", ["mobileone_s0", "repvit_m0_9", "repghostnet_050"])
def test_a_frozen_network_gives_the_same_taps_with_fewer_convolutions(name: str) -> None:
    check_merged(name)


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
