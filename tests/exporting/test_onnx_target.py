"""The ONNX file in the hands of somebody who has ONNX Runtime alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

import frostline
from frostline.core.errors import EngineError, InputError
from frostline.exporting import onnx_target
from frostline.fitting.evaluate import evaluate
from frostline.model_format.card import ModelCard

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]
CLASSES = ("b | <b>", "Äpfel", "c")
KINDS = ("head", "last layer", "finetuned", "cut", "full", "full, one place", "blend")


def plain_session(path: Path) -> Any:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_runtime_alone_gives_the_models_probabilities(
    make_run: MakeRun, tmp_path: Path, kind: str
) -> None:
    run = make_run(kind)
    done = frostline.export(run.folder, tmp_path / "m.onnx")
    assert done.agreement.real
    assert done.agreement.largest < 1e-4
    assert done.n_bytes == (tmp_path / "m.onnx").stat().st_size
    session = plain_session(tmp_path / "m.onnx")
    expected = run.expected()
    assert expected.max(axis=1).mean() > 0.5
    pixels = [np.asarray(Image.open(path)) for path in run.images]
    found = np.stack([session.run(None, {"image": image})[0][0] for image in pixels])
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.95
    batch = np.stack([pixels[0], pixels[0][::-1]])
    together = session.run(["probabilities"], {"image": batch})[0]
    np.testing.assert_allclose(together[0], found[0], atol=1e-5)


def test_labels_and_card_are_inside(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full")
    frostline.export(run.folder, tmp_path / "m.onnx")
    inside = plain_session(tmp_path / "m.onnx").get_modelmeta()
    assert inside.producer_name == "frostline"
    assert json.loads(inside.custom_metadata_map["classes"]) == list(CLASSES)
    card = ModelCard.model_validate_json(inside.custom_metadata_map["frostline"])
    assert card.preprocessing == run.card.preprocessing
    # no place on the exporter's machine
    assert card.source == run.images[0].parent.name


def test_an_exported_file_is_a_model_of_frostline(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("head")
    path = tmp_path / "m.ONNX"
    frostline.export(run.folder, path)
    model = frostline.load(path)
    assert model.classes == CLASSES
    np.testing.assert_allclose(model.predict_proba(list(run.images)), run.expected(), atol=1e-6)
    labelled = tmp_path / "labelled.csv"
    lines = [f"{p},{CLASSES[i % 3]}" for i, p in enumerate(run.images)]
    labelled.write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    assert evaluate(path, labelled).scores.n == len(run.images)
    again = frostline.export(path, tmp_path / "again.onnx", images=run.images[0].parent)
    assert again.agreement.largest < 1e-6


def test_predicting_from_a_file_needs_no_pytorch(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full")
    frostline.export(run.folder, tmp_path / "m.onnx")
    code = (
        "import sys, frostline; model = frostline.load(sys.argv[1]);"
        "print(model.predict([sys.argv[2]])[0]);"
        "assert 'torch' not in sys.modules and 'timm' not in sys.modules"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.onnx"), str(run.images[0])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == frostline.load(run.folder).predict([run.images[0]])[0]


def test_without_the_runs_images_it_is_checked_on_made_up_ones(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run("full")
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "model").symlink_to(run.folder / "model")
    done = frostline.export(moved, tmp_path / "m.onnx")
    assert not done.agreement.real
    assert done.agreement.n > 3


def test_a_file_that_disagrees_is_not_left_behind(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("full")
    stamp = onnx_target.stamp

    def spoilt(graph: Any, *rest: Any) -> None:
        stamp(graph, *rest)
        scale = next(t for t in graph.graph.initializer if t.name.startswith("after/"))
        scale.raw_data = np.float32(2.6).tobytes()

    monkeypatch.setattr(onnx_target, "stamp", spoilt)
    (tmp_path / "old.onnx").write_bytes(b"earlier")
    with pytest.raises(EngineError, match="differs from the model"):
        frostline.export(run.folder, tmp_path / "new.onnx")
    with pytest.raises(EngineError, match="differs from the model"):
        frostline.export(run.folder, tmp_path / "old.onnx", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["old.onnx"]
    assert (tmp_path / "old.onnx").read_bytes() == b"earlier"


def test_another_suffix_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not end in \.onnx"):
        frostline.export(make_run("full").folder, tmp_path / "model.bin")
