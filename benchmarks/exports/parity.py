"""Answers for real image files: ``frostline predict`` beside ONNX Runtime alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import TensorProto, helper

from benchmarks.exports.forms import Forms
from frostline.core.errors import UnreadableImageError
from frostline.core.preprocessing import Preprocessing
from frostline.data.decoding.decode import decode
from frostline.model.model import Model
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.preprocessing_graph import OPSET, add_preprocessing

_MOST = 400
_MAX_PIXELS = 20_000_000
_CLOSE = 1e-3


def measure_parity(run: Path, forms: Forms, paths: list[Path]) -> dict[str, Any]:
    """Compare on up to 400 files, and the pixels that enter the network on them."""
    model = Model.load(run)
    preprocessing = model.card.preprocessing
    alone = ort.InferenceSession(str(forms.paths["onnx"]), providers=["CPUExecutionProvider"])
    smaller = ort.InferenceSession(str(forms.paths["int8"]), providers=["CPUExecutionProvider"])
    pixels = pixels_session(preprocessing)
    order = np.random.default_rng(0).permutation(len(paths))[:_MOST]
    native, found, int8, grey, moved = [], [], [], [], []
    for i in sorted(order):
        try:
            image = decode(paths[i], max_pixels=_MAX_PIXELS, at_least=preprocessing.decode_at_least)
        except UnreadableImageError:
            continue
        array = np.asarray(image)
        native.append(model.predict_proba([paths[i]])[0])
        found.append(alone.run(["probabilities"], {"image": array})[0][0])
        int8.append(smaller.run(["probabilities"], {"image": array})[0][0])
        inside = pixels.run(None, {"image": array})[0][0].transpose(1, 2, 0)
        off = np.abs(inside - preprocessing.apply(image))
        grey.append(float(off.max()))
        moved.append(float((off > 0.5).mean()))
    expected = np.array(native)
    return {
        "images": len(expected),
        "onnx": _difference(expected, np.array(found)),
        "int8": _difference(expected, np.array(int8)),
        "largest_grey_difference": max(grey),
        "share_of_pixels_off": float(np.mean(moved)),
    }


def _difference(expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> dict[str, Any]:
    off = np.abs(found - expected).max(axis=1)
    mine, theirs = expected.argmax(axis=1), found.argmax(axis=1)
    rows = np.arange(len(expected))
    margins = expected[rows, mine] - expected[rows, theirs]
    return {
        "same_class": int((mine == theirs).sum()),
        "largest_margin_of_others": float(margins.max()),
        "largest": float(off.max()),
        "p99": float(np.quantile(off, 0.99)),
        "median": float(np.median(off)),
        "images_beyond_0.001": int((off > _CLOSE).sum()),
    }


def pixels_session(preprocessing: Preprocessing) -> Any:
    """A graph of the preprocessing alone, with nothing normalised away."""
    plain = preprocessing.model_copy(update={"mean": (0, 0, 0), "std": (1 / 255,) * 3})
    builder = GraphBuilder("before")
    add_preprocessing(builder, "image", plain, "pixels")
    size = preprocessing.size
    graph = helper.make_graph(
        builder.nodes,
        "pixels",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, None)],
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, size, size])],
        builder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
