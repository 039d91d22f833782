"""How much memory the activations of a graph take at once, known from its shapes alone."""

from __future__ import annotations

import math
from collections.abc import Collection

import onnx
from onnx import TensorProto, helper

from frostline.onnx_graph.network_graph import NORMALISED

#: operators whose result is what they were given, seen otherwise
_VIEWS = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"))
_CHANNELS = 3


def activation_bytes(content: bytes, size: int, last: str) -> int:
    """Return the most bytes of activations that one image has at once in a graph.

    Counted are all results that some later operator still needs, queries times keys of attention
    among them; an operator's own scratch memory is not. Nothing is run, so the same graph always
    gives the same number. An operator whose shape cannot be inferred counts as its largest input.

    Parameters
    ----------
    content : bytes
        A network's graph without weights, as :class:`NetworkGraph` has it.
    size : int
        Side of the square image in pixels.
    last : str
        The output that is wanted; what lies above it is not counted.
    """
    model = onnx.load_model_from_string(content)
    graph = model.graph
    for value in graph.input:
        if value.name == NORMALISED:
            shape = (1, _CHANNELS, size, size)
            value.CopyFrom(helper.make_tensor_value_info(NORMALISED, TensorProto.FLOAT, shape))
    # what the export wrote down of an unknown batch would stay unknown
    del graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    known = {v.name: _bytes(v) for v in (*inferred.value_info, *inferred.input)}
    known |= {v.name: _bytes(v) for v in inferred.output if _bytes(v)}
    nodes = _up_to(graph.node, last)
    sizes, owners = {NORMALISED: known[NORMALISED] or 0}, {NORMALISED: NORMALISED}
    ends: dict[str, int] = {}
    for place, node in enumerate(nodes):
        moving = [owners[name] for name in node.input if name in owners]
        for name in moving:
            ends[name] = place
        if not moving:
            # weights and sizes, which every image shares
            continue
        for name in filter(None, node.output):
            if node.op_type in _VIEWS:
                owners[name] = moving[0]
                continue
            owners[name] = name
            sizes[name] = known.get(name) or max(sizes[one] for one in moving)
            ends[name] = place
    return _most_at_once(nodes, sizes, ends, owners.get(last, last))


def _up_to(nodes: Collection[onnx.NodeProto], last: str) -> list[onnx.NodeProto]:
    """Return the nodes that a result rests on, in their order."""
    wanted, kept = {last}, []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _most_at_once(
    nodes: Collection[onnx.NodeProto], sizes: dict[str, int], ends: dict[str, int], last: str
) -> int:
    ends[last] = len(nodes)
    alive = sizes[NORMALISED]
    most = alive
    for place, node in enumerate(nodes):
        alive += sum(sizes[name] for name in node.output if name in sizes)
        most = max(most, alive)
        alive -= sum(sizes[name] for name, end in ends.items() if end == place)
    return most


def _bytes(value: onnx.ValueInfoProto) -> int | None:
    """Return the bytes of a float32 tensor of one image; None where its shape is not known."""
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not kind.shape.dim:
        return None
    # what is left unknown is the batch, of one image
    sides = [dim.dim_value if dim.HasField("dim_value") else 1 for dim in kind.shape.dim]
    return 4 * math.prod(sides)
