"""Norm layers of an ONNX graph: merged into convolutions, measured, or fed with a batch's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from frostline.onnx_graph.builder import GraphBuilder

Array = npt.NDArray[Any]


def fold_norms(
    nodes: Sequence[onnx.NodeProto], tensors: Mapping[str, Array], *, keep: Iterable[str]
) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Merge every norm layer that follows a convolution, and nothing else does, into it."""
    readers: dict[str, int] = {}
    for name in (*(name for node in nodes for name in node.input), *keep):
        readers[name] = readers.get(name, 0) + 1
    made_by = {node.output[0]: node for node in nodes if node.op_type == "Conv"}
    folded, merged = dict(tensors), {}
    for norm in nodes:
        conv = made_by.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        if conv is None or readers[norm.input[0]] > 1 or readers[conv.input[1]] > 1:
            continue
        if not {*conv.input[1:], *norm.input[1:]} <= folded.keys():
            continue
        weight, bias = _merged(conv, norm, tensors)
        folded[conv.input[1]] = weight
        folded[f"{conv.input[1]}/bias"] = bias
        together = helper.make_node(
            "Conv",
            [conv.input[0], conv.input[1], f"{conv.input[1]}/bias"],
            [norm.output[0]],
            name=conv.name,
        )
        together.attribute.extend(conv.attribute)
        merged[conv.output[0]] = together
        merged[norm.output[0]] = None
    kept = [merged.get(node.output[0], node) for node in nodes]
    return [node for node in kept if node is not None], folded


def _merged(
    conv: onnx.NodeProto, norm: onnx.NodeProto, tensors: Mapping[str, Array]
) -> tuple[Array, Array]:
    scale, shift, mean, variance = (tensors[name].astype(np.float64) for name in norm.input[1:5])
    factor = scale / np.sqrt(variance + norm_epsilon(norm))
    weight = tensors[conv.input[1]].astype(np.float64)
    before = tensors[conv.input[2]].astype(np.float64) if len(conv.input) > 2 else 0.0
    merged = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    return merged.astype(np.float32), (shift + (before - mean) * factor).astype(np.float32)


def add_moments(build: GraphBuilder, value: str) -> list[str]:
    """Add mean and mean square over space; return their names."""
    space = build.integers(2, 3)
    mean = build.add("ReduceMean", value, space, keepdims=0)
    shape = build.add("Shape", value, start=2)
    places = build.add("Cast", build.add("ReduceProd", shape, keepdims=0), to=TensorProto.FLOAT)
    squares = build.add("ReduceSumSquare", value, space, keepdims=0)
    return [mean, build.add("Div", squares, places)]


def add_batch_norm(build: GraphBuilder, norm: onnx.NodeProto) -> tuple[str, str]:
    """Normalise by the batch's own statistics; return the names of its mean and variance."""
    value, scale, shift = norm.input[:3]
    # maps, tokens and vectors alike as (n, C, places)
    flat = build.add("Reshape", value, build.integers(0, 0, -1))
    places = build.integers(0, 2)
    mean = build.add("ReduceMean", flat, places, keepdims=1)
    size = build.add("Cast", build.add("Size", flat), to=TensorProto.FLOAT)
    channels = build.add("Cast", build.add("Size", mean), to=TensorProto.FLOAT)
    n = build.add("Div", size, channels)
    # few steps, each of which can take the place of the one before: maps of a batch are large
    centred = build.add("Sub", flat, mean)
    # image by image first: one long sum in single precision loses digits
    each = build.add("ReduceSumSquare", centred, build.integers(2), keepdims=1)
    squares = build.add("ReduceSum", each, build.integers(0), keepdims=1)
    variance = build.add("Div", squares, n)
    wide = build.add("Add", variance, build.constant(norm_epsilon(norm), np.float32))
    across = build.integers(1, -1, 1)
    factor = build.add("Div", build.add("Reshape", scale, across), build.add("Sqrt", wide))
    scaled = build.add("Mul", centred, factor)
    shifted = build.add("Add", scaled, build.add("Reshape", shift, across))
    build.add("Reshape", shifted, build.add("Shape", value), output=norm.output[0])
    unbiased = build.add("Div", squares, build.add("Sub", n, build.constant(1.0, np.float32)))
    vector = build.integers(-1)
    return build.add("Reshape", mean, vector), build.add("Reshape", unbiased, vector)


def norm_name(node: onnx.NodeProto) -> str:
    """Return the path of a norm layer in its network."""
    name: str = node.input[3]
    return name.rpartition(".")[0]


def norm_epsilon(node: onnx.NodeProto) -> float:
    """Return what a norm layer adds to its variance."""
    return float(next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5))
