"""Crop, squash and pad are the same pixels in Pillow, in ONNX and in what trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import timm
import torch
from onnx import TensorProto, helper
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import nn

from frostline.backbones.load.timm_source import preprocessing_of
from frostline.compute.cache.fact import digest_of
from frostline.compute.engines.torch_runtime import Compute
from frostline.compute.image_loader import ImageLoader
from frostline.core.actions import Recipe
from frostline.core.preprocessing import CROP_MODES, Preprocessing
from frostline.core.runtime import Runtime
from frostline.core.settings import ResizeMode
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.exporting.model_onnx import export_onnx, verify_onnx
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.prepared import on_canvas
from frostline.onnx_graph.preprocessing_graph import OPSET, add_preprocessing
from frostline.training.image_batches import ImageBatches
from frostline.training.loaders import Batching
from frostline.training.train_val_split import split_train_val
from tests.model.bare import Bare

MEAN = (0.4, 0.5, 0.6)
MODES: tuple[ResizeMode, ...] = ("crop", "squash", "pad")
SIZES = [(120, 80), (80, 120), (47, 300), (48, 48), (55, 55), (30, 40), (3, 2), (1, 200), (400, 9)]


def session(preprocessing: Preprocessing) -> Any:
    builder = GraphBuilder("before")
    add_preprocessing(builder, "image", preprocessing, "pixels")
    graph = helper.make_graph(
        builder.nodes,
        "pixels",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, None)],
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, None)],
        builder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def resized(photos: list[Image.Image]) -> list[Image.Image]:
    return [photos[0].resize(size) for size in SIZES]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("crop_pct", [1.0, 0.875])
@pytest.mark.parametrize("mode", MODES)
def test_the_graph_prepares_images_as_pillow_does(
    photos: list[Image.Image], mode: ResizeMode, crop_pct: float, interpolation: Any
) -> None:
    preprocessing = Preprocessing(
        size=48,
        crop_pct=crop_pct,
        interpolation=interpolation,
        mean=MEAN,
        std=(1 / 255,) * 3,
        resize=mode,
    )
    opened = session(preprocessing)
    for image in resized(photos):
        expected = preprocessing.apply(image)
        assert expected.shape == (48, 48, 3)
        both = opened.run(None, {"image": np.stack([np.asarray(image)] * 2)})[0]
        np.testing.assert_array_equal(both[0], both[1])
        found = both[0].transpose(1, 2, 0) + 255 * np.array(MEAN, dtype=np.float32)
        # rounding falls the other way at few places
        assert np.abs(found - expected).max() <= 2.001, image.size
        assert np.abs(found - expected).mean() <= 0.08, image.size
        # a picture that was resized before stays as it is, and so does one that was prepared
        np.testing.assert_array_equal(preprocessing.apply(preprocessing.resized(image)), expected)
        canvas = opened.run(None, {"image": on_canvas([expected], preprocessing)})[0][0]
        lying = canvas.transpose(1, 2, 0) + 255 * np.array(MEAN, dtype=np.float32)
        np.testing.assert_allclose(lying, expected, atol=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_probabilities_are_those_of_the_network(
    tmp_path: Path, photos: list[Image.Image], small_net: nn.Module, mode: ResizeMode
) -> None:
    preprocessing = Preprocessing(size=48).with_resize(mode)
    path = tmp_path / "model.onnx"
    export_onnx(Bare(small_net), preprocessing, 1.0, path)
    prepared = np.stack([preprocessing.apply(image) for image in resized(photos)])
    assert verify_onnx(path, Bare(small_net), preprocessing, 1.0, prepared) < 1e-5
    opened = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        logits = small_net(torch.from_numpy(preprocessing.normalise(prepared)))
    for image, expected in zip(resized(photos), logits.softmax(dim=1), strict=True):
        found = opened.run(["probabilities"], {"image": np.asarray(image)})[0]
        np.testing.assert_allclose(np.ravel(found), expected, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_training_sees_the_same_pixels(
    tmp_path: Path, photos: list[Image.Image], mode: ResizeMode
) -> None:
    for i, image in enumerate(resized(photos)[:6]):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        image.save(tmp_path / "ab"[i % 2] / f"{i}.png")
    catalog = open_source(tmp_path)
    preprocessing = Preprocessing(size=48, mean=MEAN).with_resize(mode)
    images = ImageLoader(catalog, preprocessing, max_pixels=10**6, workers=0)
    rows = np.arange(len(catalog))
    parts = split_train_val(
        Problem.of(catalog), rows, fraction=0.5, validation_rows=np.array([], dtype=np.int64)
    )
    batching = Batching(parts, 4, 0, 0, Compute.of(Runtime()))
    recipe = Recipe(
        epochs=1, batch_size=4, learning_rate=0.1, head_learning_rate=0.1, augment="light"
    )
    light = ImageBatches(batching, catalog, images, recipe, None)
    clean = torch.cat(list(light.clean())).numpy()
    learned = [catalog.rows[row] for row in parts.train]
    expected = [preprocessing.apply(Image.open(row.path).convert("RGB")) for row in learned]
    np.testing.assert_allclose(clean, preprocessing.normalise(np.stack(expected)), atol=1e-5)
    views = torch.cat([batch for batch, _ in light.training(0)]).numpy()
    bars = np.abs(views).max(axis=1) < 0.01
    # a view of a padded picture has its bars, and so the same shapes as the clean one
    assert (bars.mean() > 0.1) == (mode == "pad")


@pytest.mark.parametrize("mode", MODES)
def test_they_are_what_timm_means_by_its_crop_mode(
    photos: list[Image.Image], mode: ResizeMode
) -> None:
    net = timm.create_model("test_resnet", pretrained=False)
    net.pretrained_cfg |= {"crop_mode": CROP_MODES[mode], "crop_pct": 1.0}
    preprocessing = preprocessing_of(net)
    assert preprocessing.resize == mode
    transform = create_transform(**resolve_data_config({}, model=net), is_training=False)
    for image in resized(photos)[:5]:
        theirs = transform(image).numpy()
        ours = preprocessing.normalise(preprocessing.apply(image)[None])[0]
        # torchvision rounds sides down where the shorter one counts
        assert np.abs(theirs - ours).mean() < (0.15 if mode == "crop" else 2e-3), image.size


def test_old_files_and_keys_of_the_crop_stay_as_they_are() -> None:
    old = {
        "size": 224,
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    read = Preprocessing.model_validate_json(json.dumps(old))
    assert read.resize == "crop" and read == Preprocessing()
    assert "resize" not in read.model_dump() and "resize" not in read.model_dump_json()
    # worked out before there were ways to choose from
    assert digest_of(read) == "7e71025502db6a3e6cb92ce4f0864482"
    keys = {digest_of(read.with_resize(mode)) for mode in MODES}
    assert len(keys) == 3
    for mode in MODES:
        other = read.with_resize(mode)
        assert Preprocessing.model_validate_json(other.model_dump_json()) == other


@pytest.mark.parametrize("mode", MODES)
def test_what_is_seen_and_shown_is_told(mode: ResizeMode) -> None:
    preprocessing = Preprocessing(size=56, mean=MEAN).with_resize(mode)
    for width, height in [(320, 64), (64, 256), (100, 100)]:
        (seen,) = preprocessing.seen([(width, height)])
        white = np.zeros((height, width, 3), dtype=np.uint8)
        across, down = round(seen[0] * width), round(seen[1] * height)
        top, left = (height - down) // 2, (width - across) // 2
        white[top : top + down, left : left + across] = 255
        pixels = preprocessing.apply(Image.fromarray(white))
        wide, high = (round(56 * share) for share in preprocessing.shown(width, height))
        x, y = (56 - wide) // 2, (56 - high) // 2
        # resampling mixes in what lies just beside
        assert pixels[y + 2 : y + high - 2, x + 2 : x + wide - 2].min() > 245
        outside = np.delete(pixels[28], np.s_[max(0, x - 1) : x + wide + 1], axis=0)
        assert (np.abs(outside - np.array(preprocessing.fill)) < 8).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(96, 48), (48, 120), (60, 60)])
def test_what_is_seen_is_shown_in_its_own_shape(mode: ResizeMode, size: tuple[int, int]) -> None:
    preprocessing = Preprocessing(size=48, crop_pct=1.0, mean=MEAN).with_resize(mode)
    # a round disc in the middle is round again, and has no bars beside it
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    disc = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < 18**2
    image = Image.fromarray(np.repeat(255 * disc[..., None], 3, axis=2).astype(np.uint8))
    seen = Image.fromarray(preprocessing.apply(image))
    shown = np.asarray(preprocessing.in_own_shape(seen, width, height))
    assert max(shown.shape) == 48
    wanted = 1.0 if mode == "crop" else width / height
    assert shown.shape[1] / shown.shape[0] == pytest.approx(wanted, rel=0.06)
    assert shown[0, 0].max() < 30 and shown[-1, -1].max() < 30
    bright = shown[..., 0] > 128
    across, down = bright.any(axis=0).sum(), bright.any(axis=1).sum()
    assert abs(across - down) <= 2
