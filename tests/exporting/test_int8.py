"""The 8-bit file: how small, how close, and what it says about itself."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from PIL import Image

import frostline
from frostline.cli.export import export_run
from frostline.core.errors import InputError
from frostline.core.files import sha256_of
from frostline.exporting import shrinking
from frostline.exporting.exported import Loss
from frostline.exporting.int8 import RECIPES, is_quantised, quantise
from frostline.model_format.card import ModelCard
from frostline.run.manifest import COLUMNS as MANIFEST_COLUMNS
from tests.exporting.conftest import CLASSES

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]


@pytest.mark.parametrize("kind", ["head", "finetuned", "cut", "full", "blend"])
def test_it_is_small_and_keeps_the_classes(make_run: MakeRun, tmp_path: Path, kind: str) -> None:
    run = make_run(kind)
    path = tmp_path / "m.onnx"
    done = frostline.export(run.folder, path, quantize="int8")
    loss = done.loss
    assert loss is not None
    assert loss.apart
    assert loss.calibrated_on + loss.judged_on == len(run.images)
    assert path.stat().st_size < 0.4 * loss.bytes_before
    assert loss.accuracy_before == 1.0
    assert loss.accuracy == loss.same_class / loss.judged_on
    assert (loss.learned_from, loss.tested_on) == (0, loss.judged_on)
    # the written file, run as anybody would
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = np.stack(
        [session.run(None, {"image": np.asarray(Image.open(p))})[0][0] for p in run.images]
    )
    expected = run.expected()
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    assert np.abs(found - expected).mean() < 0.05
    inside = session.get_modelmeta().custom_metadata_map
    assert Loss.model_validate_json(inside["frostline_quantization"]) == loss
    # the scores are those of the float32 model, and the card says so
    assert json.loads(inside["frostline"])["test"]["before_quantising"] is True
    model = frostline.load(path)
    np.testing.assert_allclose(model.predict_proba(list(run.images)), found, atol=0.1)


def test_ends_stay_in_float(make_run: MakeRun, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    frostline.export(make_run("full").folder, path, quantize="int8")
    model = onnx.load(path)
    assert is_quantised(model)
    for node in model.graph.node:
        if node.name.startswith(("before/", "after/")) and "_Quantize" not in node.name:
            assert "QuantizeLinear" not in node.op_type
    weights = {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    heads = [n for n in model.graph.node if n.op_type == "Gemm"]
    assert heads and all(n.input[1] in weights for n in heads)


def test_eight_bits_once(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full")
    frostline.export(run.folder, tmp_path / "m.onnx", quantize="int8")
    with pytest.raises(InputError, match="8 bits wide already"):
        frostline.export(
            tmp_path / "m.onnx",
            tmp_path / "again.onnx",
            quantize="int8",
            images=run.images[0].parent,
        )


def test_images_are_needed_and_may_be_named(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full")
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "model").symlink_to(run.folder / "model")
    with pytest.raises(InputError, match="--images FOLDER"):
        frostline.export(moved, tmp_path / "m.onnx", quantize="int8")
    done = frostline.export(
        moved, tmp_path / "m.onnx", quantize="int8", images=run.images[0].parent
    )
    assert done.loss is not None
    assert done.loss.labelled == 0
    assert done.loss.accuracy is None
    few = tmp_path / "few"
    few.mkdir()
    for path in run.images[:5]:
        (few / path.name).symlink_to(path)
    done = frostline.export(moved, tmp_path / "few.onnx", quantize="int8", images=few)
    assert done.loss is not None
    assert (done.loss.apart, done.loss.calibrated_on, done.loss.judged_on) == (False, 5, 5)
    with pytest.raises(InputError, match="does not exist"):
        frostline.export(moved, tmp_path / "n.onnx", quantize="int8", images=tmp_path / "none")


def test_no_accuracy_on_what_the_model_learned_from(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_folds = _run_of(make_run("full"), tmp_path / "folds", method="cross-validation")
    export_run(by_folds, tmp_path / "m.onnx", **_INT8)
    loss = _recorded(tmp_path / "m.onnx")
    assert (loss.learned_from, loss.tested_on, loss.accuracy) == (loss.judged_on, 0, None)
    assert loss.labelled == loss.judged_on
    assert loss.largest_difference is not None and 0 < loss.largest_difference < 0.5
    said = " ".join(capsys.readouterr().out.split())
    assert "Accuracy" not in said
    assert "keep their class, and probabilities differ by at most" in said
    assert "learned from these images" in said
    # the manifest knows each image, wherever it lies and whatever the run was judged by
    held_out = _run_of(make_run("full"), tmp_path / "held-out", method="held-out")
    images = make_run("full").images
    _manifest(held_out, images, trained=lambda place: place < 50)
    export_run(held_out, tmp_path / "n.onnx", **_INT8)
    loss = _recorded(tmp_path / "n.onnx")
    assert loss.learned_from is not None
    assert 0 < loss.tested_on == loss.judged_on - loss.learned_from <= 10
    said = " ".join(capsys.readouterr().out.split())
    assert f"on {loss.tested_on} of them that the model did not learn from" in said
    assert "learned from some of these images" in said
    # an exported file has no run that could tell
    table = tmp_path / "labelled.csv"
    rows = [f'"{path}","{CLASSES[place % 3]}"' for place, path in enumerate(images)]
    table.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    frostline.export(by_folds, tmp_path / "float.onnx")
    export_run(tmp_path / "float.onnx", tmp_path / "o.onnx", **{**_INT8, "images": table})
    loss = _recorded(tmp_path / "o.onnx")
    assert (loss.labelled, loss.learned_from, loss.accuracy) == (loss.judged_on, None, None)
    assert "cannot be told" in capsys.readouterr().out


def test_a_careful_recipe_is_tried_where_a_fast_one_loses(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def watched(*arguments: object) -> onnx.ModelProto:
        recipe = arguments[-1]
        tried.append(recipe.name)  # type: ignore[attr-defined]
        found: onnx.ModelProto = quantise(*arguments)  # type: ignore[arg-type]
        return found

    monkeypatch.setattr(shrinking, "quantise", watched)
    monkeypatch.setattr(shrinking, "_LOST", -1.0)
    frostline.export(make_run("full").folder, tmp_path / "m.onnx", quantize="int8")
    assert tried == [recipe.name for recipe in RECIPES]
    monkeypatch.setattr(shrinking, "_WORTHLESS", -1.0)
    with pytest.raises(InputError, match="does not bear it"):
        frostline.export(make_run("full").folder, tmp_path / "n.onnx", quantize="int8")
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_the_record_is_json_that_others_can_read(make_run: MakeRun, tmp_path: Path) -> None:
    frostline.export(make_run("full").folder, tmp_path / "m.onnx", quantize="int8")
    props = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(props["frostline_quantization"])["layers"] > 5


def test_weights_alone_lose_next_to_nothing(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("blend")
    monkeypatch.setattr(shrinking, "recipes_for", lambda _: RECIPES[-1:])
    done = frostline.export(run.folder, tmp_path / "m.onnx", quantize="int8")
    assert done.loss is not None
    assert done.n_bytes < 0.4 * done.loss.bytes_before
    assert done.loss.same_class == done.loss.judged_on
    found = frostline.load(tmp_path / "m.onnx").predict_proba(list(run.images))
    np.testing.assert_allclose(found, run.expected(), atol=0.05)
    # nothing is left to scale for every image once the file is open
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "opened.onnx")
    ort.InferenceSession(str(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    opened = onnx.load(tmp_path / "opened.onnx")
    assert not any("/int8" in name for node in opened.graph.node for name in node.input)
    with pytest.raises(InputError, match="8 bits wide already"):
        frostline.export(
            tmp_path / "m.onnx",
            tmp_path / "again.onnx",
            quantize="int8",
            images=run.images[0].parent,
        )


_INT8: dict[str, Any] = {
    "to": "onnx",
    "quantize": "int8",
    "opset": None,
    "images": None,
    "overwrite": False,
}


def _run_of(run: Run, folder: Path, *, method: str) -> Path:
    """Copy a run that was judged in another way."""
    shutil.copytree(run.folder, folder)
    file = folder / "model" / "model.json"
    card = ModelCard.model_validate_json(file.read_text("utf-8"))
    test = card.test.model_copy(update={"method": method})
    file.write_text(card.model_copy(update={"test": test}).to_json(), encoding="utf-8")
    return folder


def _manifest(run: Path, images: Sequence[Path], *, trained: Callable[[int], bool]) -> None:
    rows = [
        [path.name, sha256_of(path), CLASSES[place % 3], "train" if trained(place) else "test", ""]
        for place, path in enumerate(images)
    ]
    with (run / "catalog.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([MANIFEST_COLUMNS, *rows])


def _recorded(path: Path) -> Loss:
    props = {p.key: p.value for p in onnx.load(path).metadata_props}
    return Loss.model_validate_json(props["frostline_quantization"])
