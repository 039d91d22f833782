"""What PyTorch users get, loaded by the code that comes with it and nothing of Frostline."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import frostline
from frostline.core.errors import InputError

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]
CLASSES = ("b | <b>", "Äpfel", "c")
KINDS = ("head", "last layer", "finetuned", "cut", "full", "full, one place", "blend")

#: why a plain network cannot hold it; kinds that are not here can be held
REASONS = {
    "head": "activations at 2 depths",
    "last layer": "the spread of every channel",
    "finetuned": "the spread of every channel",
    "cut": "were removed",
    "full": "the spread of every channel",
    "blend": "averages 2 networks",
}


def description_of(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            text = file.metadata()["frostline"]
    else:
        extra = {"frostline.json": ""}
        torch.export.load(path, extra_files=extra)
        text = extra["frostline.json"]
    found: dict[str, Any] = json.loads(text)
    return found


def run_code(code: str, folder: Path, images: torch.Tensor) -> np.ndarray[Any, Any]:
    """Run the code that a file comes with, where it lies."""
    names: dict[str, Any] = {"images": images}
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.chdir(folder)
        exec(compile(code, "load", "exec"), names)
    return np.asarray(names["probabilities"].numpy(), dtype=np.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_a_torch_export_gives_the_models_probabilities(
    make_run: MakeRun, tmp_path: Path, kind: str
) -> None:
    run = make_run(kind)
    done = frostline.export(run.folder, tmp_path / "m", to="torch")
    plain = kind not in REASONS
    assert done.path == tmp_path / ("m.safetensors" if plain else "m.pt2")
    assert done.form == ("state dict" if plain else "program")
    assert plain or REASONS[kind] in done.notes[0]
    assert list(tmp_path.iterdir()) == [done.path]
    said = description_of(done.path)
    assert said["classes"] == list(CLASSES)
    found = run_code(said["load"], tmp_path, run.tensors())
    np.testing.assert_allclose(found, run.expected(), atol=1e-4)


@pytest.mark.parametrize("kind", ["last layer", "finetuned", "full"])
def test_weights_under_the_names_of_timm_with_a_head_beside(
    make_run: MakeRun, tmp_path: Path, kind: str
) -> None:
    run = make_run(kind)
    done = frostline.export(run.folder, tmp_path / "m.safetensors", to="torch")
    assert done.form == "state dict"
    state = load_file(done.path)
    timm.create_model("test_resnet", num_classes=0).load_state_dict(
        {k: v for k, v in state.items() if not k.startswith("head.")}
    )
    found = run_code(description_of(done.path)["load"], tmp_path, run.tensors())
    np.testing.assert_allclose(found, run.expected(), atol=1e-4)


def test_a_plain_network_of_timm_with_its_own_classifier(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full, one place")
    frostline.export(run.folder, tmp_path / "m.safetensors", to="torch")
    net = timm.create_model("test_resnet", num_classes=len(CLASSES)).eval()
    net.load_state_dict(load_file(tmp_path / "m.safetensors"))
    with torch.inference_mode():
        found = net(run.tensors()).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, run.expected(), atol=1e-4)


def test_the_suffix_asks_and_what_is_impossible_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    asked = frostline.export(make_run("full, one place").folder, tmp_path / "a.pt2", to="torch")
    assert asked.form == "program"
    cut = frostline.export(make_run("cut").folder, tmp_path / "b.safetensors", to="torch")
    assert cut.path == tmp_path / "b.pt2"
    assert "were removed" in cut.notes[0]
    with pytest.raises(InputError, match="exists already"):
        frostline.export(make_run("cut").folder, tmp_path / "b.safetensors", to="torch")
    with pytest.raises(InputError, match="exists already"):
        frostline.export(make_run("cut").folder, tmp_path / "b", to="torch")


def test_a_program_has_the_same_bytes_whenever_it_is_written(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        # temporary names hold the number of the process
        monkeypatch.setattr("os.getpid", lambda name=name: len(name))
        (tmp_path / name).mkdir()
        frostline.export(make_run("cut").folder, tmp_path / name / "m.pt2", to="torch")
    with zipfile.ZipFile(tmp_path / "one" / "m.pt2") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert not re.search(rb"\.py\b", content), "it says where the code lies on this machine"
    assert (tmp_path / "one" / "m.pt2").read_bytes() == (tmp_path / "other" / "m.pt2").read_bytes()


def test_an_onnx_file_has_no_weights_for_pytorch(make_run: MakeRun, tmp_path: Path) -> None:
    frostline.export(make_run("full").folder, tmp_path / "m.onnx")
    with pytest.raises(InputError, match="PyTorch needs the weights"):
        frostline.export(tmp_path / "m.onnx", tmp_path / "m.pt2", to="torch")


def test_networks_of_torchvision(tmp_path: Path, photo_files: tuple[Path, ...]) -> None:
    import torchvision
    from torch import nn

    from frostline.backbones.heads.classifiers import build_classifier
    from frostline.backbones.network import Network
    from frostline.core.actions import FullTraining, Recipe
    from frostline.core.preprocessing import Preprocessing
    from frostline.exporting.save_model import save_model
    from frostline.model_format.card import ModelCard

    torch.manual_seed(2)
    recipe = Recipe(epochs=1, batch_size=2, learning_rate=0.1, head_learning_rate=0.1)
    network = Network.load("torchvision:resnet18", pretrained=False)
    module = build_classifier(network, keep_to=None, n_outputs=3, new_block=False).eval()
    assert isinstance(module.head, nn.Linear)
    with torch.no_grad():
        # a head that was taught to read the mean alone
        module.head.weight[:, 512:] = 0
        module.head.weight[:, :512].mul_(50)
    card = ModelCard(
        frostline="0.1.0",
        classes=CLASSES,
        preprocessing=Preprocessing(size=64),
        backbone=network.name,
        weights_licence="BSD-3-Clause",
        action=FullTraining(recipe=recipe),
        temperature=0.8,
        n_train=3,
    )
    save_model(tmp_path / "run", module, card)
    done = frostline.export(tmp_path / "run", tmp_path / "m", to="torch")
    assert done.path == tmp_path / "m.safetensors"
    net = torchvision.models.get_model("resnet18", num_classes=3).eval()
    net.load_state_dict(load_file(done.path))
    model = frostline.load(tmp_path / "run")
    prepared = np.stack([model.prepare(p, name="x") for p in photo_files[:6]])
    with torch.inference_mode():
        batch = torch.from_numpy(card.preprocessing.normalise(prepared))
        found = net(batch).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, model.predict_proba(list(photo_files[:6])), atol=1e-4)
