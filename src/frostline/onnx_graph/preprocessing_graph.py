"""The ONNX nodes before and after a network: any uint8 image in, probabilities out."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from frostline.core.preprocessing import MAX_ASPECT, Preprocessing
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.lanczos import add_lanczos

#: ONNX operator set of exported files; Resize is antialiased since 18
OPSET = 19

_RESIZE: dict[str, dict[str, Any]] = {
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5},
    "bilinear": {"mode": "linear"},
}


def add_preprocessing(
    graph: GraphBuilder, image: str, preprocessing: Preprocessing, output: str
) -> None:
    """Add what :meth:`Preprocessing.apply` and :meth:`Preprocessing.normalise` do.

    ``image``: name of a uint8 RGB tensor, H x W x 3 or N x H x W x 3. ``output``: name for the
    float32 result, N x 3 x size x size.
    """
    # the last three dimensions are the same for one image and for a batch
    shape = graph.add("Shape", image, start=-3)
    batch = graph.add("Reshape", image, graph.add("Concat", graph.integers(-1), shape, axis=0))
    sides = graph.add("Slice", shape, graph.integers(0), graph.integers(2))
    short = graph.add("ReduceMin", sides, graph.constant([0], np.int64), keepdims=1)

    longest = graph.add("Mul", short, graph.integers(MAX_ASPECT))
    kept = graph.add("Min", sides, longest)
    batch = _centre_crop(graph, batch, sides, kept, axes=(1, 2))

    target = _target_sides(graph, kept, short, preprocessing)
    planes = graph.add("Transpose", batch, perm=[0, 3, 1, 2])
    if preprocessing.interpolation == "lanczos":
        planes = add_lanczos(graph, planes, kept, target)
    else:
        planes = graph.add(
            "Resize",
            planes,
            "",
            "",
            target,
            axes=[2, 3],
            antialias=1,
            exclude_outside=1,
            coordinate_transformation_mode="half_pixel",
            **_RESIZE[preprocessing.interpolation],
        )
    square = graph.integers(preprocessing.size, preprocessing.size)
    planes = _centre_crop(graph, planes, target, square, axes=(2, 3))
    _add_normalisation(graph, planes, preprocessing, output)


def add_softmax(graph: GraphBuilder, logits: str, temperature: float, output: str) -> None:
    """Add ``softmax(logits / temperature)`` over the last axis."""
    scaled = graph.add("Div", logits, graph.constant(temperature, np.float32))
    graph.add("Softmax", scaled, output=output, axis=-1)


def _target_sides(graph: GraphBuilder, sides: str, short: str, preprocessing: Preprocessing) -> str:
    """Sides after resizing, rounded as Python rounds them (float64, half to even)."""
    wanted = graph.integers(preprocessing.resize_to)
    scale = graph.add(
        "Div", _cast(graph, wanted, TensorProto.DOUBLE), _cast(graph, short, TensorProto.DOUBLE)
    )
    exact = graph.add("Mul", _cast(graph, sides, TensorProto.DOUBLE), scale)
    rounded = _cast(graph, graph.add("Round", exact), TensorProto.INT64)
    return graph.add("Max", rounded, wanted)


def _centre_crop(
    graph: GraphBuilder, tensor: str, sides: str, kept: str, *, axes: tuple[int, int]
) -> str:
    """Keep the middle ``kept`` of ``sides`` along two axes."""
    start = graph.add("Div", graph.add("Sub", sides, kept), graph.integers(2))
    stop = graph.add("Add", start, kept)
    return graph.add("Slice", tensor, start, stop, graph.integers(*axes))


def _add_normalisation(
    graph: GraphBuilder, planes: str, preprocessing: Preprocessing, output: str
) -> None:
    std = np.asarray(preprocessing.std, dtype=np.float32)
    mean = np.asarray(preprocessing.mean, dtype=np.float32)
    scale = graph.constant((1.0 / (255.0 * std)).reshape(3, 1, 1), np.float32)
    shift = graph.constant((mean / std).reshape(3, 1, 1), np.float32)
    values = graph.add("Mul", _cast(graph, planes, TensorProto.FLOAT), scale)
    graph.add("Sub", values, shift, output=output)


def _cast(graph: GraphBuilder, tensor: str, to: int) -> str:
    return graph.add("Cast", tensor, to=to)
