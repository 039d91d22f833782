"""Class token, mean and spread of tokens, as nodes of a graph."""

from __future__ import annotations

import numpy as np

from frostline.core.cuts import TokenReading
from frostline.onnx_graph.builder import GraphBuilder

#: beyond any number of tokens
_TO_THE_END = 2**31 - 1


def read_tokens(build: GraphBuilder, name: str, reading: TokenReading) -> list[str]:
    """Add what tokens (n, L, C) are read as; return the names of its parts, (n, C) each.

    The same as :func:`frostline.backbones.heads.pooling.pooled` does, operation by operation.
    """
    tokens, along = _normalised(build, name, reading), build.integers(1)
    patches = _slice(build, tokens, reading.prefix_tokens, _TO_THE_END)
    mean = build.add("ReduceMean", patches, along, keepdims=1)
    found: list[str] = []
    for part in reading.parts:
        if part == "class":
            first = _slice(build, tokens, 0, reading.class_tokens)
            found.append(build.add("ReduceMean", first, along, keepdims=0))
        elif part == "mean":
            found.append(build.add("Squeeze", mean, along))
        else:
            centred = build.add("Sub", patches, mean)
            square = build.add("Mul", centred, centred)
            variance = build.add("ReduceMean", square, along, keepdims=0)
            tiny = build.constant(1e-12, np.float32)
            found.append(build.add("Sqrt", build.add("Add", variance, tiny)))
    return found


def _normalised(build: GraphBuilder, name: str, reading: TokenReading) -> str:
    if reading.norm is None:
        return name
    channels, values = build.integers(-1), name
    if reading.norm == "layer":
        values = build.add("Sub", name, build.add("ReduceMean", name, channels, keepdims=1))
    square = build.add("ReduceMean", build.add("Mul", values, values), channels, keepdims=1)
    epsilon = build.constant(reading.epsilon, np.float32)
    return build.add("Div", values, build.add("Sqrt", build.add("Add", square, epsilon)))


def _slice(build: GraphBuilder, name: str, start: int, stop: int) -> str:
    if start == 0 and stop == _TO_THE_END:
        return name
    ends = (build.integers(start), build.integers(stop), build.integers(1))
    return build.add("Slice", name, *ends)
