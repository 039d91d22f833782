"""The exported file against PyTorch and Pillow, on photographs of many sizes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from torch import nn

from benchmarks.exports.parity import pixels_session
from frostline.core.errors import EngineError
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.exporting.model_onnx import (
    MOST_TOLERANCE,
    TOLERANCE,
    export_onnx,
    tolerance_for,
    verify_onnx,
)
from tests.model.bare import Bare

if TYPE_CHECKING:
    from tests.model.conftest import Saved

pytestmark = pytest.mark.slow

Interpolation = Literal["bilinear", "bicubic", "lanczos"]


def plain_session(path: Path) -> Any:
    """Open the file as anybody would, without Frostline's own settings."""
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture
def prepared(small_preprocessing: Preprocessing, photos: list[Image.Image]) -> UInt8Array:
    return np.stack([small_preprocessing.apply(photo) for photo in photos])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_the_graph_prepares_images_as_pillow_does(
    photos: list[Image.Image], interpolation: Interpolation
) -> None:
    preprocessing = Preprocessing(
        size=95, interpolation=interpolation, mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255)
    )
    session = pixels_session(preprocessing)
    tiny = [photos[0].crop((50, 50, 50 + w, 50 + h)) for w, h in [(1, 1), (3, 2), (1, 30)]]
    for image in [*photos, *tiny]:
        found = session.run(None, {"image": np.asarray(image)})[0][0].transpose(1, 2, 0)
        difference = np.abs(found - preprocessing.apply(image))
        # one grey level where rounding falls the other way, at few places
        assert difference.max() <= 1.001, image.size
        assert difference.mean() <= 0.05, image.size


@pytest.mark.parametrize(("size", "crop_pct"), [(64, 1.0), (64, 0.9), (65, 0.875), (64, 0.5)])
def test_sizes_are_rounded_as_in_preprocessing(size: int, crop_pct: float) -> None:
    # a picture whose pixels are their own coordinates shows a shift by a single pixel
    preprocessing = Preprocessing(
        size=size, crop_pct=crop_pct, mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255)
    )
    session = pixels_session(preprocessing)
    random = np.random.default_rng(0)
    for height, width in random.integers(40, 400, size=(30, 2)):
        rows, columns = np.mgrid[:height, :width]
        array = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2)
        array = array.astype(np.uint8)
        found = session.run(None, {"image": array})[0][0].transpose(1, 2, 0)
        difference = np.abs(found - preprocessing.apply(Image.fromarray(array)))
        assert difference.mean() <= 0.05, (height, width)


def test_prepared_images_give_the_probabilities_of_pytorch(
    tmp_path: Path,
    small_net: nn.Module,
    small_preprocessing: Preprocessing,
    prepared: UInt8Array,
) -> None:
    path = tmp_path / "m.onnx"
    export_onnx(Bare(small_net), small_preprocessing, 0.8, path)
    difference = verify_onnx(path, Bare(small_net), small_preprocessing, 0.8, prepared)
    assert difference < 1e-5
    assert verify_onnx(path, Bare(small_net), small_preprocessing, 0.8, prepared[:1]) < 1e-5


def test_raw_photographs_of_any_size(saved: Saved, photos: list[Image.Image]) -> None:
    session = plain_session(saved.run / "model" / "model.onnx")
    expected = saved.torch_probabilities(photos)
    found = np.stack([session.run(None, {"image": np.asarray(p)})[0][0] for p in photos])
    # the reference must say something for the comparison to mean anything
    assert expected.max(axis=1).mean() > 0.5
    np.testing.assert_allclose(found, expected, atol=0.002)


def test_one_image_and_a_batch(saved: Saved, photos: list[Image.Image]) -> None:
    session = plain_session(saved.run / "model" / "model.onnx")
    batch = np.stack([np.asarray(photo) for photo in photos[:2]])
    together = session.run(None, {"image": batch})[0]
    assert together.shape == (2, len(saved.card.classes))
    assert together.dtype == np.float32
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    for i in range(2):
        alone = session.run(None, {"image": batch[i]})[0]
        assert alone.shape == (1, len(saved.card.classes))
        np.testing.assert_allclose(alone[0], together[i], atol=1e-6)


def test_the_contract_is_visible_in_the_file(saved: Saved) -> None:
    session = plain_session(saved.run / "model" / "model.onnx")
    (image,) = session.get_inputs()
    (output,) = session.get_outputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert (output.name, output.shape) == ("probabilities", ["N", len(saved.card.classes)])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list(saved.card.classes)
    assert Preprocessing.model_validate_json(metadata["preprocessing"]) == (
        saved.card.preprocessing
    )


@pytest.mark.parametrize("dims", [["H", "W", 3], ["N", "H", "W", 3]])
def test_the_file_is_valid_for_either_rank(saved: Saved, dims: list[str | int]) -> None:
    # the checker wants a rank, which the file leaves open on purpose
    model = onnx.load(saved.run / "model" / "model.onnx")
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, dims))
    onnx.checker.check_model(model, full_check=True)


def test_temperature_softens(
    tmp_path: Path, small_net: nn.Module, small_preprocessing: Preprocessing
) -> None:
    image = np.full((80, 70, 3), 200, dtype=np.uint8)
    logs = []
    for temperature in (1.0, 4.0):
        export_onnx(Bare(small_net), small_preprocessing, temperature, tmp_path / "m.onnx")
        row = plain_session(tmp_path / "m.onnx").run(None, {"image": image})[0][0]
        logs.append(np.log(row.astype(np.float64)))
    spread = [np.ptp(row) for row in logs]
    assert spread[0] == pytest.approx(4 * spread[1], rel=1e-4)


def test_a_file_of_another_module_is_refused(
    tmp_path: Path,
    small_net: nn.Module,
    small_preprocessing: Preprocessing,
    prepared: UInt8Array,
) -> None:
    path = tmp_path / "m.onnx"
    export_onnx(Bare(small_net), small_preprocessing, 1.0, path)
    with pytest.raises(EngineError, match="differs from the fitted one"):
        verify_onnx(path, Bare(small_net), small_preprocessing, 1.5, prepared)
    with torch.no_grad():
        next(small_net.parameters()).fill_(float("nan"))
    with pytest.raises(EngineError, match="differs from the fitted one by nan"):
        verify_onnx(path, Bare(small_net), small_preprocessing, 1.0, prepared)
    assert TOLERANCE == 1e-4


@pytest.mark.parametrize(
    ("scale", "temperature"), [(1.0, 1.0), (1e3, 0.5), (1e6, 1.0), (1.0, 1e-3)]
)
def test_rounding_of_large_logits_is_no_fault(
    scale: float,
    temperature: float,
    tmp_path: Path,
    small_net: nn.Sequential,
    small_preprocessing: Preprocessing,
    prepared: UInt8Array,
) -> None:
    head = small_net[-1]
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.mul_(scale)
        head.bias.mul_(scale)
    path = tmp_path / "m.onnx"
    export_onnx(Bare(small_net), small_preprocessing, temperature, path)
    verify_onnx(path, Bare(small_net), small_preprocessing, temperature, prepared)
    # a wrong file is told from rounding all the same
    export_onnx(
        Bare(small_net[:-1].append(nn.Linear(16, 3))), small_preprocessing, temperature, path
    )
    with pytest.raises(EngineError, match="differs from the fitted one"):
        verify_onnx(path, Bare(small_net), small_preprocessing, temperature, prepared)


def test_the_tolerance_follows_from_the_logits() -> None:
    assert tolerance_for(10.0, 1.0) == pytest.approx(256 * 2**-23 * 5)
    assert tolerance_for(1.0, 1.0) == TOLERANCE
    assert tolerance_for(100.0, 2.0) == pytest.approx(tolerance_for(50.0, 1.0))
    assert tolerance_for(1e9, 1.0) == tolerance_for(float("inf"), 1.0) == MOST_TOLERANCE


def test_a_class_too_many_is_refused(
    tmp_path: Path, small_net: nn.Module, small_preprocessing: Preprocessing
) -> None:
    with pytest.raises(EngineError, match="3 outputs for 4 classes"):
        export_onnx(
            Bare(small_net), small_preprocessing, 1.0, tmp_path / "m.onnx", classes=list("abcd")
        )


def test_an_operation_that_onnx_lacks_is_named(
    tmp_path: Path, small_preprocessing: Preprocessing
) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.igamma(x.abs().flatten(1)[:, :3], torch.ones(3))

    with pytest.raises(EngineError, match="cannot be written as ONNX"):
        export_onnx(Bare(Odd()), small_preprocessing, 1.0, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_export_is_quiet_and_changes_nothing(
    tmp_path: Path,
    small_net: nn.Sequential,
    small_preprocessing: Preprocessing,
    capfd: pytest.CaptureFixture[str],
) -> None:
    small_net.train()
    small_net[1].eval()
    modes = [part.training for part in small_net.modules()]
    before = {name: value.clone() for name, value in small_net.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(Bare(small_net), small_preprocessing, 1.0, tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")
    assert [part.training for part in small_net.modules()] == modes
    for name, value in small_net.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_same_module_gives_the_same_bytes(
    tmp_path: Path, small_net: nn.Module, small_preprocessing: Preprocessing
) -> None:
    contents = []
    for name in ("a.onnx", "b.onnx"):
        export_onnx(
            Bare(small_net), small_preprocessing, 1.0, tmp_path / name, classes=["x", "y", "z"]
        )
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_prepared_pixels_pass_untouched() -> None:
    from frostline.onnx_graph.prepared import on_canvas

    random = np.random.default_rng(0)
    for size, crop_pct in [(16, 1.0), (17, 0.9), (24, 0.875), (33, 0.5), (32, 0.77)]:
        preprocessing = Preprocessing(
            size=size, crop_pct=crop_pct, mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255)
        )
        images: UInt8Array = random.integers(0, 256, (3, size, size, 3), dtype=np.uint8)
        session = pixels_session(preprocessing)
        found = session.run(None, {"image": on_canvas(images, preprocessing)})[0]
        np.testing.assert_allclose(found.transpose(0, 2, 3, 1), images, atol=1e-3)
