"""A model folder is whole, agrees with itself, or says what is wrong."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.restore import restore_module
from frostline.core.actions import TapsHead
from frostline.core.errors import BackboneError, EngineError, RunFolderError
from frostline.core.preprocessing import Preprocessing
from frostline.exporting import model_onnx as export
from frostline.exporting.model_onnx import verify_onnx
from frostline.exporting.save_model import save_model
from frostline.model.model import Model
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import NEWEST_FORMAT, find_model_folder, load_card
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.preprocessing_graph import add_link
from frostline.targets.links import Link
from tests.model.bare import Bare

if TYPE_CHECKING:
    from tests.model.conftest import Saved

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(saved: Saved, tmp_path: Path) -> Path:
    """A run folder of this test's own."""
    shutil.copytree(saved.run, tmp_path / "run")
    return tmp_path / "run"


def small_card(preprocessing: Preprocessing) -> ModelCard:
    return ModelCard(
        frostline="0.1.0",
        classes=("a", "b", "c"),
        preprocessing=preprocessing,
        backbone="small",
        weights_licence="none",
        action=TapsHead(taps=["x"]),
        n_train=3,
    )


def test_the_card_comes_back(saved: Saved) -> None:
    card = load_card(saved.run)
    assert card == saved.card
    assert card == load_card(saved.run / "model")
    assert card.classes == ("zebra", "apple", "Äpfel & Birnen", "moth")
    assert len(card.fingerprints.weights) == len(card.fingerprints.onnx) == 64
    names = sorted(path.name for path in (saved.run / "model").iterdir())
    assert names == ["model.json", "model.onnx", "weights.safetensors"]


def test_the_weights_are_the_state_dict(saved: Saved) -> None:
    stored = load_file(saved.run / "model" / "weights.safetensors")
    own = saved.module.state_dict()
    assert sorted(stored) == sorted(own)
    assert all(torch.equal(stored[name], own[name]) for name in own)


def test_shared_tensors_are_written_for_each_name(
    tmp_path: Path, small_preprocessing: Preprocessing
) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 3, 1)
            self.second = self.first
            self.head = nn.Linear(3, 3)
            self.head.weight = nn.Parameter(self.first.weight.detach().view(3, 3).t())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.head(self.second(self.first(x)).mean(dim=(2, 3)))
            return result

    module = Shared().eval()
    save_model(tmp_path, Bare(module), small_card(small_preprocessing))
    stored = load_file(tmp_path / "weights.safetensors")
    assert torch.equal(stored["second.weight"], module.first.weight)
    assert torch.equal(stored["head.weight"], module.head.weight)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_a_flipped_bit_is_found(copy: Path) -> None:
    flip_a_bit(copy / "model" / "model.onnx")
    with pytest.raises(RunFolderError, match=r"model\.onnx is damaged"):
        Model.load(copy)
    flip_a_bit(copy / "model" / "weights.safetensors")
    with pytest.raises(RunFolderError, match=r"weights\.safetensors is damaged"):
        restore_module(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "model" / "model.onnx").unlink()
    with pytest.raises(RunFolderError, match=r"model\.onnx is missing"):
        Model.load(copy)


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="does not exist"):
        find_model_folder(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        find_model_folder(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="is a file"):
        find_model_folder(tmp_path / "file")
    (tmp_path / "plan.json").touch()
    with pytest.raises(RunFolderError, match="has no finished model"):
        find_model_folder(tmp_path)


def test_a_damaged_card_is_named(copy: Path) -> None:
    path = copy / "model" / "model.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"model\.json is damaged"):
        load_card(copy)
    values = json.loads(whole)
    path.write_text(json.dumps(values | {"format_version": NEWEST_FORMAT + 1}), encoding="utf-8")
    with pytest.raises(RunFolderError, match="Update Frostline"):
        load_card(copy)
    newer = values | {"format_version": NEWEST_FORMAT + 1, "frostline": "9.1", "unheard_of": []}
    path.write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(
        RunFolderError, match=rf"by Frostline 9\.1 in format .*reads format {NEWEST_FORMAT},"
    ):
        load_card(copy)
    del values["temperature"]
    values["temprature"] = 1.0
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(RunFolderError, match="temprature"):
        load_card(copy)


def test_a_value_that_changed_since_is_noticed(copy: Path) -> None:
    path = copy / "model" / "model.json"
    whole = path.read_text(encoding="utf-8")
    values = json.loads(whole)
    changed = path.read_bytes().replace(b'"temperature": ', b'"temperature": 1')
    path.write_bytes(changed)
    with pytest.raises(RunFolderError, match=r"model\.json is damaged.*written with"):
        load_card(copy)
    with pytest.raises(BackboneError, match=r"model\.json is damaged.*written with"):
        load_source(copy)
    # the order of the keys says nothing, and somebody may mean it
    path.write_text(json.dumps(dict(reversed(values.items()))), encoding="utf-8")
    assert load_card(copy).to_json() == whole
    meant = json.loads(changed)
    del meant["checksum"]
    path.write_text(json.dumps(meant), encoding="utf-8")
    assert load_card(copy).temperature > 10
    assert load_card(copy).checksum == ""


def test_classes_of_the_same_name_are_refused(small_preprocessing: Preprocessing) -> None:
    values = small_card(small_preprocessing).model_dump()
    with pytest.raises(ValidationError, match="same name"):
        ModelCard.model_validate(values | {"classes": ("a", "b", "a")})


def test_a_failed_save_leaves_the_old_model(
    tmp_path: Path, small_net: nn.Sequential, small_preprocessing: Preprocessing
) -> None:
    card = small_card(small_preprocessing)
    save_model(tmp_path, Bare(small_net), card)
    image = np.full((70, 90, 3), 130, dtype=np.uint8)
    before = Model.load(tmp_path).predict_proba(image)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with torch.no_grad():
        next(small_net.parameters()).fill_(float("nan"))
    with pytest.raises(EngineError):
        save_model(tmp_path, Bare(small_net), card)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert np.array_equal(Model.load(tmp_path).predict_proba(image), before)


def test_a_new_model_replaces_the_old_one(
    tmp_path: Path, small_net: nn.Sequential, small_preprocessing: Preprocessing
) -> None:
    card = small_card(small_preprocessing)
    first = save_model(tmp_path, Bare(small_net), card)
    with torch.no_grad():
        next(small_net.parameters()).mul_(1.5)
    second = save_model(tmp_path, Bare(small_net), first)
    assert first.fingerprints.weights != second.fingerprints.weights
    assert load_card(tmp_path) == second
    Model.load(tmp_path)


def test_an_unwritable_folder_is_named(
    tmp_path: Path, small_net: nn.Sequential, small_preprocessing: Preprocessing
) -> None:
    (tmp_path / "model").touch()
    with pytest.raises(RunFolderError, match="cannot be written"):
        save_model(tmp_path / "model", Bare(small_net), small_card(small_preprocessing))


def test_the_restored_module_is_the_saved_one(saved: Saved) -> None:
    module = restore_module(saved.run)
    assert not module.training
    for name, value in saved.module.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name
    x = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(module(x), saved.module(x))


class _Off:
    """An export whose temperature is another than the model's, as a faulty one might be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
        real = add_link

        def wrong(
            graph: GraphBuilder, link: Link, logits: str, temperature: float, output: str
        ) -> None:
            real(graph, link, logits, temperature * factor, output)

        monkeypatch.setattr(export, "add_link", wrong)


def test_a_file_that_is_a_little_off_is_delivered_and_said(
    tmp_path: Path,
    small_net: nn.Module,
    small_preprocessing: Preprocessing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _Off(monkeypatch, 1.05)
    card = save_model(tmp_path, Bare(small_net), small_card(small_preprocessing))
    assert 1e-4 < card.onnx_difference < 0.05
    assert load_card(tmp_path) == card
    assert Model.load(tmp_path).predict([np.zeros((64, 64, 3), dtype=np.uint8)])


def test_what_was_trained_is_kept_when_the_file_is_wrong(
    tmp_path: Path,
    small_net: nn.Module,
    small_preprocessing: Preprocessing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        _Off(patch, 30.0)
        with pytest.raises(EngineError, match="differs from the fitted one") as caught:
            save_model(tmp_path, Bare(small_net), small_card(small_preprocessing))
    assert "weights.safetensors" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
    stored = load_file(tmp_path / "weights.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in small_net.state_dict().items())
    # and a model that was there before stays whole
    saved = save_model(tmp_path, Bare(small_net), small_card(small_preprocessing))
    with monkeypatch.context() as patch, pytest.raises(EngineError):
        _Off(patch, 30.0)
        save_model(tmp_path, Bare(small_net), small_card(small_preprocessing))
    assert Model.load(tmp_path).card == saved


def test_an_export_is_made_and_checked_once_for_the_same_model(
    saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    checks: list[Path] = []
    verify = verify_onnx

    def check(path: Path, *args: Any, **more: Any) -> float:
        checks.append(path)
        return verify(path, *args, **more)

    monkeypatch.setattr("frostline.exporting.save_model.verify_onnx", check)
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    module = deepcopy(saved.module)

    def save(name: str, origin: str = "a network", **changes: Any) -> bytes:
        card = saved.card.model_copy(update=changes)
        save_model(tmp_path / name, module, card, images=images, origin=origin)
        return (tmp_path / name / "model.onnx").read_bytes()

    # without an origin nothing is kept
    first = save("a", origin="")
    assert save("b") == save("c") == first
    assert len(checks) == 2
    assert save("d", temperature=3.0) != first
    assert save("e", classes=("w", "x", "y", "z")) != first
    assert save("f", origin="another network") == first
    with torch.no_grad():
        module.get_parameter("head.bias")[0] += 1.0
    assert save("g") != first
    assert len(checks) == 6
