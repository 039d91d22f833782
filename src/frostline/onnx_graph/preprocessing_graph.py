"""The ONNX nodes before and after a network: any uint8 image in, probabilities out."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from frostline.core.preprocessing import MAX_ASPECT, Preprocessing
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.lanczos import add_lanczos
from frostline.targets.links import Link

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
    kept = sides
    if preprocessing.resize == "crop":
        short = graph.add("ReduceMin", sides, graph.constant([0], np.int64), keepdims=1)
        longest = graph.add("Mul", short, graph.integers(MAX_ASPECT))
        kept = graph.add("Min", sides, longest)
        batch = _centre_crop(graph, batch, sides, kept, axes=(1, 2))
        target = _covering(graph, kept, short, preprocessing.resize_to)
    elif preprocessing.resize == "pad":
        target = _fitting(graph, sides, preprocessing.resize_to)
    else:
        target = graph.integers(preprocessing.resize_to, preprocessing.resize_to)
    planes = graph.add("Transpose", batch, perm=[0, 3, 1, 2])
    if preprocessing.resize != "crop":
        # the longer side first, as Preprocessing does
        others = graph.add("Gather", sides, graph.integers(1, 0))
        shorter = graph.add("Less", sides, others)
        first = graph.add("Where", shorter, sides, target)
        planes = _resized(graph, planes, kept, first, preprocessing)
        kept = first
    planes = _resized(graph, planes, kept, target, preprocessing)
    if preprocessing.resize == "pad":
        planes = _padded(graph, planes, target, preprocessing)
        target = graph.integers(preprocessing.resize_to, preprocessing.resize_to)
    square = graph.integers(preprocessing.size, preprocessing.size)
    planes = _centre_crop(graph, planes, target, square, axes=(2, 3))
    _add_normalisation(graph, planes, preprocessing, output)


def add_softmax(graph: GraphBuilder, logits: str, temperature: float, output: str) -> None:
    """Add ``softmax(logits / temperature)`` over the last axis."""
    scaled = graph.add("Div", logits, graph.constant(temperature, np.float32))
    graph.add("Softmax", scaled, output=output, axis=-1)


def add_sigmoid(graph: GraphBuilder, logits: str, temperature: float, output: str) -> None:
    """Add ``sigmoid(logits / temperature)``."""
    scaled = graph.add("Div", logits, graph.constant(temperature, np.float32))
    graph.add("Sigmoid", scaled, output=output)


def add_link(graph: GraphBuilder, link: Link, logits: str, temperature: float, output: str) -> None:
    """Add what turns outputs of a network into predictions."""
    if link == "identity":
        graph.add("Identity", logits, output=output)
    else:
        {"softmax": add_softmax, "sigmoid": add_sigmoid}[link](graph, logits, temperature, output)


def _resized(
    graph: GraphBuilder, planes: str, sides: str, target: str, preprocessing: Preprocessing
) -> str:
    if preprocessing.interpolation == "lanczos":
        return add_lanczos(graph, planes, sides, target)
    return graph.add(
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


def _covering(graph: GraphBuilder, sides: str, short: str, side: int) -> str:
    """Sides of which the shorter is ``side``, rounded as Python rounds (float64, half to even)."""
    wanted = graph.integers(side)
    scale = graph.add("Div", _double(graph, wanted), _double(graph, short))
    exact = graph.add("Mul", _double(graph, sides), scale)
    return graph.add("Max", _rounded(graph, exact), wanted)


def _fitting(graph: GraphBuilder, sides: str, side: int) -> str:
    """Sides of which the longer is ``side``, rounded in the same way."""
    longest = graph.add("ReduceMax", sides, graph.constant([0], np.int64), keepdims=1)
    ratio = graph.add("Div", _double(graph, longest), graph.constant([side], np.float64))
    exact = graph.add("Div", _double(graph, sides), ratio)
    return graph.add("Max", _rounded(graph, exact), graph.integers(1))


def _padded(graph: GraphBuilder, planes: str, sides: str, preprocessing: Preprocessing) -> str:
    """Lay planes in the middle of squares of the mean colour."""
    side = graph.integers(preprocessing.resize_to, preprocessing.resize_to)
    missing = graph.add("Sub", side, sides)
    before = graph.add("Div", missing, graph.integers(2))
    pads = graph.add("Concat", before, graph.add("Sub", missing, before), axis=0)
    axes = graph.integers(2, 3)
    zero = graph.constant(0, np.uint8)
    # one value a channel is more than Pad takes
    laid = graph.add("Pad", planes, pads, zero, axes)
    ones = graph.add("Concat", graph.integers(1, 1), sides, axis=0)
    inside = graph.add("Expand", graph.constant(1, np.uint8), ones)
    inside = _cast(graph, graph.add("Pad", inside, pads, zero, axes), TensorProto.BOOL)
    fill = graph.constant(np.reshape(preprocessing.fill, (1, 3, 1, 1)), np.uint8)
    return graph.add("Where", inside, laid, fill)


def _double(graph: GraphBuilder, tensor: str) -> str:
    return _cast(graph, tensor, TensorProto.DOUBLE)


def _rounded(graph: GraphBuilder, tensor: str) -> str:
    return _cast(graph, graph.add("Round", tensor), TensorProto.INT64)


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
