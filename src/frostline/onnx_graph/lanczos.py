"""Lanczos resizing in ONNX, which has no such mode: two products with matrices of weights."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from frostline.onnx_graph.builder import GraphBuilder

_LOBES = 3.0


def add_lanczos(graph: GraphBuilder, planes: str, sides: str, target: str) -> str:
    """Add an antialiased Lanczos-3 resize that rounds where Pillow rounds.

    ``planes``: name of a uint8 tensor N x 3 x H x W. ``sides`` and ``target``: names of int64
    vectors: (H, W) now and afterwards. The result: name of the uint8 result.
    """
    columns = _weights(graph, sides, target, axis=1)
    rows = _weights(graph, sides, target, axis=0)
    # Pillow goes along the rows first and keeps 8 bits in between
    values = graph.add("Cast", planes, to=TensorProto.FLOAT)
    values = _to_levels(
        graph, graph.add("MatMul", values, graph.add("Transpose", columns, perm=[1, 0]))
    )
    values = _to_levels(graph, graph.add("MatMul", rows, values))
    return graph.add("Cast", values, to=TensorProto.UINT8)


def _weights(graph: GraphBuilder, sides: str, target: str, *, axis: int) -> str:
    """Add the matrix (target side, side) whose rows are the normalised filter."""

    def number(value: float) -> str:
        return graph.constant(value, np.float64)

    index = graph.constant(axis, np.int64)
    old, new = (graph.add("Gather", sizes, index) for sizes in (sides, target))
    old_centres, new_centres = (_centres(graph, size) for size in (old, new))
    ratio = graph.add(
        "Div",
        graph.add("Cast", old, to=TensorProto.DOUBLE),
        graph.add("Cast", new, to=TensorProto.DOUBLE),
    )
    centres = graph.add("Unsqueeze", graph.add("Mul", new_centres, ratio), graph.integers(1))
    width = graph.add("Max", ratio, number(1.0))
    distance = graph.add("Div", graph.add("Sub", old_centres, centres), width)

    # sinc(x) sinc(x / 3) inside three lobes; the small number keeps 0 / 0 away
    angle = graph.add("Mul", graph.add("Abs", distance), number(math.pi))
    angle = graph.add("Max", angle, number(1e-8))
    slow = graph.add("Div", angle, number(_LOBES))
    waves = graph.add("Mul", graph.add("Sin", angle), graph.add("Sin", slow))
    kernel = graph.add("Div", waves, graph.add("Mul", angle, slow))
    inside = graph.add("Less", slow, number(math.pi))
    kernel = graph.add("Where", inside, kernel, number(0.0))
    total = graph.add("ReduceSum", kernel, graph.integers(1), keepdims=1)
    return graph.add("Cast", graph.add("Div", kernel, total), to=TensorProto.FLOAT)


def _centres(graph: GraphBuilder, size: str) -> str:
    """Centres of ``size`` pixels in units of pixels: 0.5, 1.5, ..."""
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    places = graph.add("Cast", graph.add("Range", zero, size, one), to=TensorProto.DOUBLE)
    return graph.add("Add", places, graph.constant(0.5, np.float64))


def _to_levels(graph: GraphBuilder, values: str) -> str:
    """Round to whole grey levels in [0, 255]."""
    low, high = (graph.constant(level, np.float32) for level in (0.0, 255.0))
    return graph.add("Clip", graph.add("Round", values), low, high)
