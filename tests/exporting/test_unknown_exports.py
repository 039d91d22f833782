"""What is unlike everything in training stays so in every export that can say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import frostline
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.serve.app import create_app
from frostline.serve.limits import Limits
from frostline.serve.service import Service
from tests.model.kept_ood_scorer import load_familiarity

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]


def scores(model: Model, images: list[Image.Image]) -> np.ndarray:
    found = [r for r in model.predict_each(images) if isinstance(r, Prediction)]
    return np.array([r.unfamiliarity for r in found], dtype=float)


@pytest.fixture(scope="module")
def pictures(make_run: MakeRun) -> list[Image.Image]:
    """Ten images of training, and two like none of them."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    files = make_run("knowing").images[:10]
    known = [Image.open(path).convert("RGB") for path in files]
    return [*known, Image.fromarray(noise), Image.new("RGB", (80, 80), "red")]


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_an_onnx_file_knows_strangers(
    make_run: MakeRun, tmp_path: Path, pictures: list[Image.Image], quantize: str | None
) -> None:
    run, target = make_run("knowing"), tmp_path / "m.onnx"
    frostline.export(run.folder, target, quantize=quantize)
    expected = scores(frostline.load(run.folder), pictures)
    found = scores(frostline.load(target), pictures)
    assert (expected[-2:] > 1).all()
    np.testing.assert_array_equal(found > 1, expected > 1)
    np.testing.assert_allclose(found, expected, rtol=2e-3 if quantize is None else 0.25)


def test_a_folder_to_publish_keeps_what_is_familiar(
    make_run: MakeRun, tmp_path: Path, pictures: list[Image.Image]
) -> None:
    run, folder = make_run("knowing"), tmp_path / "published"
    frostline.export(run.folder, folder, to="hub")
    kept, original = load_familiarity(folder), load_familiarity(run.folder)
    assert kept is not None
    assert original is not None
    assert kept.reach == original.reach
    np.testing.assert_array_equal(kept.usual, original.usual)
    expected = scores(frostline.load(run.folder), pictures)
    np.testing.assert_allclose(scores(frostline.load(folder), pictures), expected, rtol=1e-6)


def test_the_service_takes_an_exported_file(make_run: MakeRun, tmp_path: Path) -> None:
    run, target = make_run("knowing"), tmp_path / "m.onnx"
    frostline.export(run.folder, target)
    service = Service(frostline.load(target, threads=1), Limits())
    with TestClient(create_app(service)) as client:
        content = run.images[3].read_bytes()
        answer = client.post("/predict", files=[("files", ("a.png", content))])
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    expected = run.expected()[3]
    assert result["label"] == run.card.classes[expected.argmax()]
    assert result["confidence"] == pytest.approx(expected.max(), abs=1e-4)
    assert result["unknown"] is False


@pytest.mark.parametrize("opset", [19, 20, 21])
def test_later_operator_sets_give_the_same(make_run: MakeRun, tmp_path: Path, opset: int) -> None:
    import onnx

    run, target = make_run("knowing"), tmp_path / "m.onnx"
    frostline.export(run.folder, target, opset=opset)
    written = {used.domain: used.version for used in onnx.load(target).opset_import}
    assert written[""] == opset
    found = frostline.load(target, threads=1).predict_proba(list(run.images))
    np.testing.assert_allclose(found, run.expected(), atol=1e-5)
