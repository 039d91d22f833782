"""Networks made for one image size, at another: resampled once, written as ONNX, or refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from torch import nn
from typer.testing import CliRunner

import frostline
from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.restore import restore_module
from frostline.backbones.network import Network
from frostline.cli.main import app
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing
from frostline.exporting.pytorch.writable import check_writable

pytestmark = pytest.mark.slow


def weights_of(name: str, folder: Path, **options: object) -> Path:
    torch.manual_seed(0)
    torch.save(timm.create_model(name, **options).state_dict(), folder / "w.pth")
    return folder / "w.pth"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("test_vit", 64),
        ("test_vit_relpos", 96),
        ("test_coatnet", 96),
        ("deit_tiny_distilled_patch16_224", 64),
        ("eva02_tiny_patch14_224", 56),
        ("pit_ti_224", 96),
        ("levit_128s", 64),
    ],
)
def test_a_network_takes_another_size_with_its_weights(
    name: str, size: int, tmp_path: Path
) -> None:
    source = load_source(name, weights=weights_of(name, tmp_path), size=size)
    assert source.example.shape[-2:] == (size, size)
    assert source.preprocessing.size == size
    with torch.no_grad():
        assert torch.isfinite(source.net(source.example)).all()


def test_a_size_that_patches_do_not_fill_is_taken_and_its_edge_told() -> None:
    network = Network.load("deit_tiny_distilled_patch16_224", pretrained=False, size=40)
    assert network.preprocessing.size == 40
    assert "the last 8 pixels" in network.notes[-1]
    assert "--input-size 32 or 48 is read whole" in network.notes[-1]
    other = network.example.clone()
    other[..., 32:] = other[..., 32:, :] = 9.0
    body = network.body(network.taps)
    with torch.no_grad():
        assert torch.equal(body(other), body(network.example))
    whole = Network.load("deit_tiny_distilled_patch16_224", pretrained=False, size=48)
    assert whole.notes == ()


def test_positions_are_those_that_timm_would_resample(tmp_path: Path) -> None:
    file = weights_of("test_vit", tmp_path)
    source = load_source("test_vit", weights=file, size=96)
    theirs = timm.create_model("test_vit")
    theirs.load_state_dict(torch.load(file, weights_only=True))
    theirs.set_input_size(img_size=(96, 96))
    assert torch.equal(source.net.state_dict()["pos_embed"], theirs.pos_embed)
    assert "of 160 px and was resampled for 96 px" in " ".join(source.notes)


def test_weights_of_another_size_fit_there_as_they_are(tmp_path: Path) -> None:
    file = weights_of("test_vit", tmp_path, img_size=192)
    own = torch.load(file, weights_only=True)["pos_embed"]
    there = load_source("test_vit", weights=file, size=192)
    assert there.notes == ()
    assert torch.equal(there.net.state_dict()["pos_embed"], own)
    here = load_source("test_vit", weights=file)
    assert "of 192 px and was resampled for 160 px (--input-size 192" in here.notes[0]


def test_positions_that_are_no_square_are_refused_by_what_they_are(tmp_path: Path) -> None:
    file = weights_of("test_vit", tmp_path)
    state = torch.load(file, weights_only=True)
    state["pos_embed"] = state["pos_embed"][:, :78]
    torch.save(state, file)
    with pytest.raises(BackboneError, match=r"pos_embed \(1, 78, 64\).*Only embeddings of posit"):
        load_source("test_vit", weights=file)


def test_the_network_of_torchvision_too(tmp_path: Path) -> None:
    from torchvision.models.vision_transformer import VisionTransformer

    from frostline.backbones.load.position_embeddings import resampled

    small = VisionTransformer(64, 16, 2, 2, 32, 64)
    large = VisionTransformer(96, 16, 2, 2, 32, 64)
    found, notes = resampled(small.state_dict(), large.state_dict())
    large.load_state_dict(found)
    assert "of images of 64 px and was resampled for 96 px" in notes[0]


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("test_vit", 100, r"squares of 16 pixels\. Use --input-size 96 or 112\."),
        (
            "gmixer_12_224",
            96,
            r"of 96 pixels: .*Use --input-size 224, or leave it out\.",
        ),
    ],
)
def test_sizes_that_do_not_suit_say_which_do(
    name: str, size: int, said: str, digit_parts: Path, tmp_path: Path
) -> None:
    file = weights_of(name, tmp_path)
    done = CliRunner().invoke(
        app,
        [
            *("advise", str(digit_parts), "--backbone", name),
            *("--weights", str(file), "--input-size", str(size)),
        ],
        env={"COLUMNS": "400"},
    )
    assert done.exit_code == 2
    assert re.search(said, " ".join(done.stderr.split()))
    assert "example batch" not in done.stderr


def test_a_transformer_is_fitted_at_another_size_and_restored(
    digit_parts: Path, tmp_path: Path
) -> None:
    file, run = weights_of("test_vit", tmp_path), tmp_path / "run"
    done = CliRunner().invoke(
        app,
        [
            *("fit", str(digit_parts), "-o", str(run), "--effort", "fast"),
            *("--backbone", "test_vit", "--weights", str(file), "--input-size", "64"),
        ],
        env={"COLUMNS": "300"},
    )
    assert done.exit_code == 0, done.stderr
    assert "pos_embed is that of images of 160 px and was resampled for 64 px" in done.stderr
    assert "graph(" not in done.stdout
    assert "was resampled for 64 px" in (run / "metrics.json").read_text()
    assert "was resampled for 64 px" in (run / "report.html").read_text()
    with torch.no_grad():
        logits = restore_module(run)(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 3)
    images = sorted((digit_parts / "test").rglob("*.png"))
    assert frostline.load(run).predict_proba(images).shape == (len(images), 3)
    # and what was trained is a network again
    assert Network.load(run).example_shape[-1] == 64


# ------------------------------------------------------------------------- known before training


class Antialiased(nn.Module):
    """Resizes in a way that ONNX has no operator for."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.block = nn.Conv2d(4, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.interpolate(self.stem(x), (9, 9), mode="bicubic", antialias=True)
        logits: torch.Tensor = self.fc(self.block(x).mean((2, 3)))
        return logits


def test_what_onnx_lacks_is_known_from_a_trace_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    network = Network.load(Antialiased(), preprocessing=Preprocessing(size=32))
    for _ in range(2):
        with pytest.raises(BackboneError, match=r"32 pixels cannot be written as ONNX.*bicubic"):
            check_writable(network)
    assert capfd.readouterr() == ("", "")
    check_writable(network, cut="stem")
    check_writable(Network.load("test_resnet", pretrained=False))


def test_too_little_memory_says_nothing_about_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    network = Network.load("test_efficientnet", weights=weights_of("test_efficientnet", tmp_path))

    def short(*_: object, **__: object) -> None:
        raise RuntimeError("could not create a primitive")

    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", short)
        with pytest.raises(RuntimeError, match="primitive"):
            check_writable(network)
    check_writable(network)
