"""ONNX files that nobody vouches for: each is refused before it runs, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.core.errors import FrostlineError, InputError, RunFolderError
from frostline.model.model import Model
from frostline.model.onnx_file import CARD_KEY
from frostline.model_format.card import ModelCard

if TYPE_CHECKING:
    from tests.model.conftest import Saved


@pytest.fixture
def graph(saved: Saved) -> onnx.ModelProto:
    """A file as it is exported: the model's graph with the card in its metadata."""
    model = onnx.load(saved.run / "model" / "model.onnx")
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, saved.card.model_dump_json()
    return model


def set_card(model: onnx.ModelProto, text: str) -> None:
    for entry in model.metadata_props:
        if entry.key == CARD_KEY:
            entry.value = text


def no_card(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def damaged_card(model: onnx.ModelProto) -> None:
    set_card(model, "{'classes'")


def newer_card(model: onnx.ModelProto) -> None:
    set_card(model, '{"format_version": 99, "frostline": "9.0"}')


def newer_operators(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


def foreign_operators(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def weights_elsewhere(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def constant_elsewhere(model: onnx.ModelProto) -> None:
    inner = numpy_helper.from_array(np.zeros(3, np.float32), "inner")
    inner.data_location = TensorProto.EXTERNAL
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=inner))


def other_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "x"
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == "image":
                node.input[i] = "x"


def other_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "logits"
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == "probabilities":
                node.output[i] = "logits"


def other_classes(model: onnx.ModelProto) -> None:
    entry = next(e for e in model.metadata_props if e.key == CARD_KEY)
    card = ModelCard.model_validate_json(entry.value)
    set_card(model, card.model_copy(update={"classes": ("a", "b")}).to_json())


def broken_graph(model: onnx.ModelProto) -> None:
    del model.graph.initializer[:]


Spoil = Callable[[onnx.ModelProto], None]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "no card": (no_card, "no model card of Frostline"),
    "damaged card": (damaged_card, "is damaged"),
    "newer card": (newer_card, "Update Frostline"),
    "newer operators": (newer_operators, "operator set 99"),
    "foreign operators": (foreign_operators, "'com.example'"),
    "weights elsewhere": (weights_elsewhere, "weights in other files"),
    "a constant elsewhere": (constant_elsewhere, "weights in other files"),
    "another input": (other_input, "has the inputs 'x'"),
    "another output": (other_output, "has the outputs 'logits'"),
    "other classes": (other_classes, "names 2 classes"),
    "a broken graph": (broken_graph, "cannot open the model"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_files_end_with_exit_code_2(
    graph: onnx.ModelProto, tmp_path: Path, name: str
) -> None:
    spoil, words = SPOILT[name]
    spoil(graph)
    path = tmp_path / "m.onnx"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises((InputError, RunFolderError)) as caught:
        Model.load(path)
    assert words in str(caught.value)
    said = CliRunner().invoke(app, ["predict", str(path), str(path)])
    assert said.exit_code == 2
    assert said.stderr.count("Error: ") <= 2


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", bytes(1000), b"\x08\x07"])
def test_files_that_are_no_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is empty|no ONNX file"):
        Model.load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        Model.load(tmp_path / "none.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(InputError, match="not a regular file"):
        Model.load(tmp_path / "pipe.onnx")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(2**31 + 5)
    with pytest.raises(InputError, match=r"2\.0 GiB"):
        Model.load(tmp_path / "large.onnx")


def test_the_runs_own_file_names_its_folder(saved: Saved) -> None:
    with pytest.raises(InputError, match="Give the folder"):
        Model.load(saved.run / "model" / "model.onnx")


def test_a_further_output_does_no_harm(
    saved: Saved, graph: onnx.ModelProto, tmp_path: Path
) -> None:
    graph.graph.node.append(
        helper.make_node("ReduceMax", ["probabilities"], ["surest"], keepdims=0)
    )
    graph.graph.output.append(helper.make_tensor_value_info("surest", TensorProto.FLOAT, []))
    path = tmp_path / "m.onnx"
    path.write_bytes(graph.SerializeToString())
    image = np.full((80, 90, 3), 70, dtype=np.uint8)
    expected = Model.load(saved.run).predict_proba(image)
    np.testing.assert_allclose(Model.load(path).predict_proba(image), expected, atol=1e-6)


def test_random_damage_never_escapes(graph: onnx.ModelProto, tmp_path: Path) -> None:
    content = graph.SerializeToString()
    random = np.random.default_rng(0)
    path = tmp_path / "m.onnx"
    for _ in range(30):
        spoilt = bytearray(content)
        for place in random.integers(0, min(len(content), 20_000), 8):
            spoilt[int(place)] = int(random.integers(256))
        path.write_bytes(spoilt[: int(random.integers(len(content) // 2, len(content) + 1))])
        try:
            model: Any = Model.load(path, threads=1)
        except FrostlineError as error:
            assert error.exit_code == 2
        else:
            assert model.classes
