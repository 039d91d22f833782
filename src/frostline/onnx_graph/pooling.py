"""What passes at a cut as one vector an image, as nodes of a graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from frostline.core.cuts import Layout, TokenReading
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.token_reading import read_tokens

_SPATIAL: Mapping[Layout, tuple[int, ...]] = {"NCHW": (2, 3), "NHWC": (1, 2), "NLC": (1,)}


def pool_cut(
    build: GraphBuilder, name: str, layout: Layout, tokens: TokenReading | None = None
) -> list[str]:
    """Add mean and standard deviation over space of what passes, or what its tokens are read as.

    The result: names of the parts, each (n, C); a vector is its own only part.
    """
    if layout == "NC":
        return [name]
    if tokens is not None:
        return read_tokens(build, name, tokens)
    space = build.integers(*_SPATIAL[layout])
    mean = build.add("ReduceMean", name, space, keepdims=1)
    centred = build.add("Sub", name, mean)
    square = build.add("Mul", centred, centred)
    variance = build.add("ReduceMean", square, space, keepdims=0)
    tiny = build.constant(1e-12, np.float32)
    flat = build.add("Squeeze", mean, space)
    return [flat, build.add("Sqrt", build.add("Add", variance, tiny))]
