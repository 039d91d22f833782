"""The graph of a model with what passes at some depths as further outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from frostline.core.cuts import Layout
from frostline.core.watched_depth import WatchedDepth
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.network_graph import placed_early
from frostline.onnx_graph.pooling import pool_cut

#: operators that do the work
_WORK = {"Conv", "ConvTranspose", "MatMul", "Gemm"}
#: what such an operator gives is about sizes, not about the image
_SIZES = {"Shape", "Size"}
_VECTOR, _TOKENS, _MAP = 2, 3, 4


def depth_output(number: int) -> str:
    """Name the output with what passes at a depth, by its number."""
    return f"depth/{number}"


def with_depth_outputs(model: onnx.ModelProto, depths: Sequence[WatchedDepth]) -> bytes:
    """Return a model with one more output a depth: pooled activations, float32 (n, d).

    Raises KeyError if a tensor is not in the graph.
    """
    build = GraphBuilder("depths")
    there = tensors_of(model)
    for number, one in enumerate(depths):
        if one.tensor not in there:
            raise KeyError(one.tensor)
        parts = pool_cut(build, one.tensor, one.layout, one.tokens)
        build.add("Concat", *parts, output=depth_output(number), axis=1)
    graph = model.graph
    nodes = placed_early(list(graph.node), build.nodes)
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(build.constants)
    for number, one in enumerate(depths):
        shape = ["N", one.width]
        graph.output.append(
            helper.make_tensor_value_info(depth_output(number), TensorProto.FLOAT, shape)
        )
    content: bytes = model.SerializeToString()
    return content


def with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> bytes:
    """Return a copy of a model with some tensors of any shape as further outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name in tensors:
        copy.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    content: bytes = copy.SerializeToString()
    return content


def tensors_of(model: onnx.ModelProto) -> set[str]:
    """Return the names of all that nodes of a graph give."""
    return {name for node in model.graph.node for name in node.output}


def places_of(model: onnx.ModelProto, source: str, end: str) -> dict[str, float]:
    """Return the tensors that alone pass between two others, with the share of the work below.

    ``source`` and ``end``: tensors of the graph; what ``end`` does not rest on plays no role.
    """
    nodes = _between(model.graph.node, source, end)
    last_use = {name: place for place, node in enumerate(nodes) for name in node.input}
    of_image, live = {source}, {source}
    found: dict[str, float] = {}
    total = max(1, sum(node.op_type in _WORK for node in nodes))
    done = 0
    for place, node in enumerate(nodes):
        done += node.op_type in _WORK
        if node.op_type not in _SIZES and of_image.intersection(node.input):
            of_image.update(node.output)
            live.update(node.output)
        live = {name for name in live if name == end or last_use.get(name, -1) > place}
        if len(live) == 1 and done:
            found.setdefault(next(iter(live)), done / total)
    return found


def some_depths(
    places: Mapping[str, float], shapes: Mapping[str, Sequence[int]], most: int
) -> list[WatchedDepth]:
    """Choose at most so many places, evenly by the work below them.

    ``shapes``: of what passes there, the batch first.
    """
    read = [
        found
        for name, depth in places.items()
        if (found := _depth(name, depth, shapes.get(name, ()))) is not None
    ]
    if len(read) <= most:
        return read
    depths = np.array([one.depth for one in read])
    chosen = {int(np.abs(depths - at).argmin()) for at in np.linspace(depths[0], 1.0, most)}
    return [read[place] for place in sorted(chosen)]


def _depth(name: str, depth: float, shape: Sequence[int]) -> WatchedDepth | None:
    layout: Layout
    if len(shape) == _MAP:
        # images are square, so the two sides that are equal are those of the map
        layout = "NHWC" if shape[1] == shape[2] != shape[3] else "NCHW"
    elif len(shape) == _TOKENS:
        layout = "NLC"
    elif len(shape) == _VECTOR:
        layout = "NC"
    else:
        return None
    channels = shape[1] if layout == "NCHW" else shape[-1]
    width = channels if layout == "NC" else 2 * channels
    return WatchedDepth(
        name=name, tensor=name, depth=depth, layout=layout, width=width, means=channels
    )


def _between(nodes: Iterable[onnx.NodeProto], source: str, end: str) -> list[onnx.NodeProto]:
    wanted, kept = {end}, []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output) and source not in node.output:
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
