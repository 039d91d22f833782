"""The ONNX nodes that say how unlike everything in training an image is."""

from __future__ import annotations

import numpy as np

from frostline.onnx_graph.builder import GraphBuilder
from frostline.stats.ood import MOST, SHORTEST, SMALLEST, OODScorer, Region


def add_ood_score(graph: GraphBuilder, features: str, ood_scorer: OODScorer, output: str) -> None:
    """Add what :meth:`OODScorer.scores` does.

    ``features``: name of a float32 tensor, N x d: the input of the classifier's head. ``output``:
    name for the result, float32 of shape (N,).
    """
    each = [_add_region(graph, features, r, ood_scorer.neighbours) for r in ood_scorer.regions]
    distances = graph.add("Concat", *(name for pair in each for name in pair), axis=1)
    relative = graph.add("Div", distances, _numbers(graph, ood_scorer.usual))
    logs = graph.add("Log", graph.add("Max", relative, _numbers(graph, SMALLEST)))
    # half of the logarithm of squared distances, measured from the threshold
    mean = graph.add("MatMul", logs, _numbers(graph, 0.5 * ood_scorer.weights[:, None]))
    above = graph.add("Sub", mean, _numbers(graph, np.log(ood_scorer.reach)))
    bounded = graph.add("Min", above, _numbers(graph, np.log(MOST)))
    graph.add("Squeeze", graph.add("Exp", bounded), graph.integers(1), output=output)


def _add_region(
    graph: GraphBuilder, features: str, region: Region, neighbours: int
) -> tuple[str, str]:
    """Add the squared distances along the axes and off them: N x 1 each."""
    start, stop = graph.integers(region.start), graph.integers(region.stop)
    block = graph.add("Slice", features, start, stop, graph.integers(1))
    z = _logarithms(graph, block, region) if region.unit else _directions(graph, block)
    axes = _numbers(graph, region.axes)
    y = graph.add("MatMul", z, axes)
    # what is left, not a difference of lengths: in single precision that loses small ones
    on_axes = graph.add("MatMul", y, graph.add("Transpose", axes, perm=[1, 0]))
    off = _squared_length(graph, graph.add("Sub", z, on_axes))
    # and distances from the middle of what is known: directions may all be nearly the same
    known = region.known.astype(np.float64)
    middle = known.mean(axis=0).astype(np.float32)
    known -= middle
    y = graph.add("Sub", y, _numbers(graph, middle))
    products = graph.add("MatMul", y, _numbers(graph, -2.0 * known.T))
    squared = graph.add("Add", products, _numbers(graph, np.square(known).sum(axis=1)))
    near = _smallest(graph, graph.add("Add", squared, _squared_length(graph, y)), neighbours)
    return graph.add("Max", near, _numbers(graph, 0.0)), off


def _logarithms(graph: GraphBuilder, block: str, region: Region) -> str:
    size = graph.add("Div", graph.add("Abs", block), _numbers(graph, region.unit))
    logs = graph.add("Log", graph.add("Add", size, _numbers(graph, 1.0)))
    signed = graph.add("Mul", graph.add("Sign", block), logs)
    centred = graph.add("Sub", signed, _numbers(graph, region.mean))
    return graph.add("Mul", centred, _numbers(graph, region.scale))


def _directions(graph: GraphBuilder, block: str) -> str:
    length = graph.add("Sqrt", _squared_length(graph, block))
    return graph.add("Div", block, graph.add("Max", length, _numbers(graph, SHORTEST)))


def _numbers(graph: GraphBuilder, value: object) -> str:
    return graph.constant(np.asarray(value), np.float32)


def _squared_length(graph: GraphBuilder, rows: str) -> str:
    """N x 1 from N x k."""
    return graph.add("ReduceSum", graph.add("Mul", rows, rows), graph.integers(1), keepdims=1)


def _smallest(graph: GraphBuilder, values: str, place: int) -> str:
    """N x 1: the ``place``-th smallest of every row."""
    lowest = graph.add_all(
        "TopK", values, graph.integers(place), outputs=2, axis=-1, largest=0, sorted=1
    )[0]
    start, stop = graph.integers(place - 1), graph.integers(place)
    return graph.add("Slice", lowest, start, stop, graph.integers(1))
