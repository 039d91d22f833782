"""Model folders and run folders of strangers: nothing is believed, nothing outside is touched."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from frostline.backbones.load.restore import restore_module
from frostline.backbones.network import Network
from frostline.core.errors import BackboneError, FrostlineError, InputError, RunFolderError
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.model_format.model_folder import load_card
from frostline.run.run_folder import RunFolder
from frostline.training.checkpoints import Checkpoints, TrainingState, _signed
from tests.model.kept_ood_scorer import load_familiarity

RELEASED = Path(__file__).parent / "released" / "format-2"
IMAGE = np.full((40, 40, 3), 70, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model folder that a stranger may spoil."""
    shutil.copytree(RELEASED, tmp_path / "model")
    return tmp_path / "model"


def vouch(folder: Path, **changes: Any) -> None:
    """Write fingerprints that fit whatever files there are, as a stranger would: no checksum."""
    path = folder / "model.json"
    card = json.loads(path.read_text(encoding="utf-8")) | changes
    for key, name in (("onnx", "model.onnx"), ("weights", "weights.safetensors")):
        if (folder / name).is_file():
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            card["fingerprints"][key] = digest
    card.pop("checksum", None)
    path.write_text(json.dumps(card), encoding="utf-8")


# ------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["model.json", "model.onnx", "familiar.safetensors"])
@pytest.mark.parametrize("what", ["pipe", "hollow", "folder", "device"])
def test_what_is_no_file_is_never_read(folder: Path, name: str, what: str) -> None:
    path = folder / name
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "hollow":
        with path.open("wb") as stream:
            stream.truncate(8 * 2**40)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(RunFolderError) as caught:
        Model.load(folder, threads=1)
        load_familiarity(folder)
    assert name in str(caught.value)


def test_long_names_are_no_runs() -> None:
    with pytest.raises(RunFolderError, match="name too long"):
        Model.load("x" * 5_000)


# ------------------------------------------------------------------------- the card


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 2048, "crop_pct": 1e-6}, "would be resized to"),
        ({"std": [0.2, 0.0, 0.2]}, "greater than 0"),
        ({"mean": [0.2, float("inf"), 0.2]}, "finite"),
    ],
)
def test_preprocessing_cannot_ask_for_gigapixels(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    vouch(folder, preprocessing=card["preprocessing"] | changes)
    with pytest.raises(RunFolderError, match=said):
        load_card(folder)


def test_a_card_names_a_network_never_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (str(folder), ".", "../model"):
        monkeypatch.chdir(folder)
        vouch(folder, backbone=name)
        for load in (restore_module, Network.load):
            with pytest.raises(BackboneError, match="no backbone"):
                load(folder)


def test_nested_json_is_refused(folder: Path) -> None:
    (folder / "model.json").write_text('{"test":' * 100_000)
    with pytest.raises(RunFolderError, match="damaged"):
        load_card(folder)
    with pytest.raises(BackboneError, match="damaged"):
        Network.load(folder)


# ------------------------------------------------------------------------- the ONNX file


def elsewhere(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.raw_data)
    (Path.cwd() / "secret.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret.bin"


def foreign(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.node.append(helper.make_node("Run", ["image"], ["x"], domain="com.example"))


def other_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def one_number(model: onnx.ModelProto) -> None:
    replace_output(model, np.float32(0.5))


def no_numbers(model: onnx.ModelProto) -> None:
    replace_output(model, np.full((1, 3), np.nan, np.float32))


def replace_output(model: onnx.ModelProto, value: Any) -> None:
    """Let the model answer with a constant."""
    del model.graph.output[:]
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name in ("probabilities", "unfamiliarity"):
                node.output[place] = f"old {name}"
    constant = numpy_helper.from_array(np.asarray(value), "constant")
    model.graph.node.append(helper.make_node("Constant", [], ["probabilities"], value=constant))
    model.graph.output.append(helper.make_tensor_value_info("probabilities", 1, None))


def nothing(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


Spoil = Callable[[onnx.ModelProto], None]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (elsewhere, "weights in other files"),
        (foreign, "cannot open the model"),
        (other_input, "has the inputs"),
        (one_number, "no probabilities for each"),
        (no_numbers, "no probabilities for each"),
        (nothing, "cannot open the model"),
    ],
)
def test_the_onnx_file_of_a_folder_is_checked_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, said: str
) -> None:
    monkeypatch.chdir(folder)
    model = onnx.load(folder / "model.onnx")
    spoil(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    vouch(folder, familiar=None)
    with pytest.raises(FrostlineError, match=said):
        Model.load(folder, threads=1, workers=0).predict_proba(IMAGE)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(99)])
def test_any_bytes_instead_of_the_onnx_file(folder: Path, content: bytes) -> None:
    (folder / "model.onnx").write_bytes(content)
    vouch(folder)
    with pytest.raises((RunFolderError, InputError)):
        Model.load(folder, threads=1, workers=0).predict_proba(IMAGE)


def test_text_that_is_no_text(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    entry = b"\x0a\x09frostline\x12\x02\xff\xff"
    path = folder.parent / "m.onnx"
    path.write_bytes(content + b"\x72" + bytes([len(entry)]) + entry)
    with pytest.raises(InputError, match="not UTF-8"):
        Model.load(path, threads=1)


# ------------------------------------------------------------------------- run folders


@pytest.mark.parametrize("name", ["log.jsonl", "checkpoints", "model", "plan.json"])
def test_a_run_writes_nothing_through_links(tmp_path: Path, name: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.mkdir()
    (run / "settings.json").write_text("{}")
    (run / name).symlink_to(outside)
    for overwrite in (False, True):
        with (
            pytest.raises(RunFolderError, match=rf"{name} is a link"),
            RunFolder.open(run, settings={}, overwrite=overwrite),
        ):
            pass
    assert list(outside.iterdir()) == []


def test_a_planted_temporary_name_leads_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    with RunFolder.open(tmp_path / "run", settings={}, overwrite=False) as run:
        (run.path / f".plan.json.{os.getpid()}.tmp").symlink_to(victim)
        run.write_json("plan.json", {"a": 1})
    assert victim.read_text() == "untouched"
    assert json.loads((run.path / "plan.json").read_text()) == {"a": 1}


def test_a_checkpoint_reads_nothing_beside_its_folder(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints", {"a": 1})
    checkpoints.save(TrainingState(epoch=1, last={"w": torch.zeros(2)}))
    state = tmp_path / "checkpoints" / "state.json"
    content = json.loads(state.read_text())
    del content["sha256"]
    name = content["files"]["last"]["name"]
    shutil.copy(tmp_path / "checkpoints" / name, tmp_path / "outside.safetensors")
    assert checkpoints.load()[0] is not None
    for elsewhere in ("../outside.safetensors", str(tmp_path / "outside.safetensors")):
        content["files"]["last"]["name"] = elsewhere
        # whoever can write there can sign as well
        state.write_bytes(_signed(content))
        found, why = checkpoints.load()
        assert found is None
        assert "no file of its own folder" in why


def test_bad_images_do_not_change_which_good_ones_share_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    answer = Model.answer_prepared

    def counting(model: Model, images: Any, **options: Any) -> Any:
        sizes.append(len(images))
        return answer(model, images, **options)

    monkeypatch.setattr(Model, "answer_prepared", counting)
    model = Model.load(RELEASED, threads=1, workers=0)
    good: list[Any] = [np.full((40, 40, 3), i, dtype=np.uint8) for i in range(40)]
    bad: list[Any] = [b"", b"text", b"\xff\xd8\xff"]
    mixed = bad + [item for i, image in enumerate(good) for item in (image, *bad[: i % 3])] + bad
    expected = list(model.predict_each(good))
    alone = [size for size in sizes if size]
    sizes.clear()
    found = list(model.predict_each(mixed))
    assert [size for size in sizes if size] == alone
    kept = [result for result in found if isinstance(result, Prediction)]
    assert len(found) == len(mixed)
    for one, other in zip(kept, expected, strict=True):
        assert isinstance(other, Prediction)
        assert np.array_equal(one.probabilities, other.probabilities)
