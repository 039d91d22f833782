"""The kernel that a head adds to its linear outputs, in ONNX."""

from __future__ import annotations

import numpy as np

from frostline.onnx_graph.builder import GraphBuilder
from frostline.stats.kernel_part import KernelPart

#: what names of the nodes begin with
KERNEL = "kernel/"


def kernel_nodes(features: str, linear: str, part: KernelPart, *, output: str) -> GraphBuilder:
    """Return the nodes that add the part's outputs for features (n, d) to linear ones (n, C)."""
    build = GraphBuilder(KERNEL.rstrip("/"))

    def constant(value: object) -> str:
        return build.constant(np.asarray(value), np.float32)

    z = build.add("Gemm", features, constant(part.project), constant(part.shift))
    squares = build.add("Mul", z, z)
    own = build.add("ReduceSum", squares, build.integers(1), keepdims=1)
    others = np.sum(part.landmarks**2, axis=1)
    apart = build.add("Gemm", z, constant(-2.0 * part.landmarks.T), constant(others))
    # rounding may leave what should be 0 a little below it
    squared = build.add("Max", build.add("Add", apart, own), constant(0.0))
    closeness = build.add("Reciprocal", build.add("Add", squared, constant(1.0)))
    build.add("Add", linear, build.add("MatMul", closeness, constant(part.weight)), output=output)
    return build
