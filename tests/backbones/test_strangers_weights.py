"""Weights of strangers: bounded, plain, and those of the packages are the very same as ever."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.fitting_weights import fit_by_name
from frostline.backbones.load.found import LoadedNetwork, example_images
from frostline.backbones.load.saved_source import from_model_folder
from frostline.backbones.load.weights_file import read_weights
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing


def refused(path: Path) -> str:
    with pytest.raises(BackboneError) as caught:
        read_weights(path)
    return str(caught.value)


def test_files_without_end_and_pipes_are_not_read(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.pth"):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(8 * 2**40)
        assert "the limit is 64" in refused(tmp_path / name)
    assert "does not exist" in refused(tmp_path / "none.pth")
    assert "2 files of weights" in refused(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "a folder, not a file" in refused(tmp_path / "empty")


def test_archives_that_unpack_to_much_more_are_refused(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.pth", tmp_path / "packed.pth"
    torch.save({"a": torch.zeros(200_000)}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    assert "unpacks to 8" in refused(packed)
    assert read_weights(plain)["a"].shape == (200_000,)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(10**6, 10**6),
        torch.zeros(3, 3).to_sparse(),
        torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
        torch.zeros(4, device="meta"),
    ],
    ids=["expanded", "sparse", "quantised", "nowhere"],
)
def test_tensors_that_are_not_what_they_claim(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"fine": torch.zeros(2), "odd": tensor}, tmp_path / "w.pth")
    assert "'odd' is no plain tensor" in refused(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"\x80\x02}q\x00.", b"(lp0\n.", b"\x80\x02K\x05.", b"\x80"])
def test_pickles_of_something_else(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    refused(tmp_path / "w.pth")


@pytest.mark.parametrize("size", ["0a6cfc9c46f90000", "ffffffffffffff7f", "ffffffffffffffff"])
def test_an_instruction_that_claims_exabytes_is_refused(size: str, tmp_path: Path) -> None:
    # BINBYTES8 with more bytes than any machine has
    (tmp_path / "w.pth").write_bytes(b"\x80\x02\x8e" + bytes.fromhex(size) + b"and a few")
    assert "cannot be read as plain weights" in refused(tmp_path / "w.pth")


def test_tensors_that_belong_to_nothing_are_not_looked_at() -> None:
    net = timm.create_model("test_resnet")
    strange = {**net.state_dict(), "other": torch.zeros(1, device="meta")}
    with pytest.raises(BackboneError, match=r"unknown \(first: other\)"):
        fit_by_name(net, strange, what="These weights")


# ------------------------------------------------------------------------- packages


def test_changed_weights_of_a_package_are_noticed() -> None:
    bundled = BUNDLED["efficientnet_lite0"]
    assert bundled.weights_file().is_file()
    with pytest.raises(BackboneError, match=r"SHA-256 is 5793.*expected 0000.*force-reinstall"):
        replace(bundled, sha256="0" * 64).weights_file()


def test_pins_agree_with_the_names_of_the_files() -> None:
    for bundled in BUNDLED.values():
        assert bundled.file.removesuffix(".pth").endswith(bundled.sha256[:8])


# ------------------------------------------------------------------------- saved networks


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    name = next(iter(timm.create_model("test_resnet").state_dict()))
    save_file({f"kept.{name}": torch.zeros(2, 2)}, tmp_path / "weights.safetensors")
    digest = hashlib.sha256((tmp_path / "weights.safetensors").read_bytes())
    rates = {"learning_rate": 0.1, "head_learning_rate": 0.1}
    recipe = {"epochs": 1, "batch_size": 2, **rates}
    card = {
        "format_version": 2,
        "backbone": "test_resnet",
        "frostline": "0.1.0",
        "classes": ["a", "b"],
        "weights_licence": "",
        "n_train": 2,
        "action": {"kind": "suffix", "freeze_to": "stem", "recipe": recipe},
        "fingerprints": {"weights": digest.hexdigest()},
        "preprocessing": {},
    }
    (tmp_path / "model.json").write_text(json.dumps(card))

    def load(
        name: str | Path, weights: Path | None, pretrained: bool, size: int | None
    ) -> LoadedNetwork:
        net = timm.create_model(str(name))
        return LoadedNetwork(str(name), net, Preprocessing(), "", example_images(64))

    with pytest.raises(BackboneError, match=r"does not fit test_resnet.*size mismatch"):
        from_model_folder(tmp_path, weights=None, load=load)
