"""Weights with 8 bits between activations in float32: a small file, as fast as before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: the axis of a weight that counts outputs
_CONV, _MATMUL = 0, 1
#: smaller tensors take more room with a scale for every output
_SMALLEST = 1024


def narrow_weights(network: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return the network with the weights of some layers as 8-bit numbers, one scale an output.

    Casting and scaling them are plain operators on constants, so ONNX Runtime computes them once,
    when it opens the file; DequantizeLinear it would repeat for every image.

    ``names``: nodes: convolutions and matrix products.
    """
    wanted = set(names)
    small = onnx.ModelProto()
    small.CopyFrom(network)
    graph = small.graph
    _resolve_aliases(graph)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    # averaged classifiers share the weights of layers that none of them trained
    layers = [node for node in graph.node if node.name in wanted and len(node.input) > 1]
    as_weight = Counter(node.input[1] for node in layers)
    before: list[onnx.NodeProto] = []
    narrow: list[TensorProto] = []
    gone: set[str] = set()
    for node in layers:
        name = node.input[1]
        tensor = weights.get(name)
        if name in gone or as_weight[name] != uses[name]:
            continue
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _SMALLEST or values.ndim < 2:
            continue
        axis = _axis(node, values.ndim)
        rounded, scale = _rounded(values, axis)
        label = f"{tensor.name}/int8"
        narrow += [
            numpy_helper.from_array(rounded, label),
            numpy_helper.from_array(scale, f"{label}/scale"),
        ]
        gone.add(tensor.name)
        wide = f"{label}/float"
        before += [
            helper.make_node("Cast", [label], [wide], name=f"{label}/Cast", to=TensorProto.FLOAT),
            helper.make_node("Mul", [wide, f"{label}/scale"], [tensor.name], name=f"{label}/Mul"),
        ]
    kept = [tensor for tensor in graph.initializer if tensor.name not in gone]
    nodes = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *narrow])
    graph.node.extend([*before, *nodes])
    return small


def _resolve_aliases(graph: onnx.GraphProto) -> None:
    """Let layers read their weights directly: exporters write equal ones once and point there."""
    weights = {tensor.name for tensor in graph.initializer}
    alias = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Identity" and node.input[0] in weights
    }
    kept = [node for node in graph.node if not (node.output and node.output[0] in alias)]
    for node in kept:
        for i, name in enumerate(node.input):
            if name in alias:
                node.input[i] = alias[name]
    del graph.node[:]
    graph.node.extend(kept)


def _axis(node: onnx.NodeProto, n_dims: int) -> int:
    if node.op_type == "Conv":
        return _CONV
    if node.op_type == "Gemm":
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        return 0 if turned else _MATMUL
    return n_dims - 1


def _rounded(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], axis: int
) -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.int8]],
    np.ndarray[tuple[int, ...], np.dtype[np.float32]],
]:
    others = tuple(i for i in range(values.ndim) if i != axis)
    largest = np.abs(values).max(axis=others)
    scale = np.maximum(largest / 127, np.finfo(np.float32).tiny).astype(np.float32)
    shape = [1] * values.ndim
    shape[axis] = -1
    rounded = np.clip(np.rint(values / scale.reshape(shape)), -127, 127)
    return rounded.astype(np.int8), scale.reshape(shape)
