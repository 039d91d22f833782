"""Make an exported ONNX file smaller: 8-bit weights and activations between float ends.

Static quantisation by ONNX Runtime. Preprocessing, everything behind the logits, and the layers
that give the logits stay in float32: they are small, and errors there reach the answer undamped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from frostline.core.errors import EngineError, InputError
from frostline.core.onnx_runtime import onnxruntime, quantization
from frostline.core.preprocessing import FloatArray, Preprocessing, UInt8Array
from frostline.exporting.sensitivity import most_sensitive
from frostline.exporting.weights_alone import narrow_weights
from frostline.onnx_graph.kernel_graph import KERNEL
from frostline.onnx_graph.session import OUTPUT, VALUES

#: the tensor between preprocessing and network in every file that Frostline writes
_NORMALISED = "before/normalised"
#: what names of the nodes before it begin with
_PREPARING = "before/"
#: a batch of large maps, none of which is merged with another, takes gigabytes
_BATCH = 1
#: what ONNX Runtime says
_WARNINGS, _ERRORS = 2, 3
_FOREIGN = "The file has no network of the form that Frostline exports."
#: operators with weights, what joins their results, and what passes 8 bits on unchanged
_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")
_PRODUCTS = ("Gemm", "MatMul")
_QUANTISED = (*_WITH_WEIGHTS, "Add", "Relu", "Clip", "MaxPool", "Pad")


@dataclass(frozen=True)
class Recipe:
    """What is made 8 bits wide.

    ``name``: for people. ``narrow``: 7-bit weights: on processors without 8-bit dot products, sums
    of two 8-bit products overflow. ``activations``: whether activations are 8 bits wide as well.
    Otherwise the file is as small, exact to the rounding of its weights, and as fast as in float32.
    ``sums``: whether what joins the results of layers is 8 bits wide, too; otherwise the residual
    stream of a transformer, in which a few channels are many times larger than the rest, keeps its
    precision. ``spared``: share of the layers, those that 8 bits change most, that compute in
    float32 with 8-bit weights.
    """

    name: str
    narrow: bool = True
    activations: bool = True
    sums: bool = True
    spared: float = 0.0


PRODUCTS = Recipe(
    "8-bit weights; sums, norm layers and the most sensitive eighth of the layers in float32",
    narrow=False,
    sums=False,
    spared=1 / 8,
)
#: from the fastest to the most careful; the first that loses little is taken
RECIPES = (
    Recipe("7-bit weights"),
    Recipe("8-bit weights", narrow=False),
    PRODUCTS,
    Recipe("8-bit weights, activations in float32", narrow=False, activations=False),
)


def is_quantised(model: onnx.ModelProto) -> bool:
    """Whether a file computes with 8 bits already."""
    marks = ("quantize", "integer")
    return any(mark in node.op_type.lower() for node in _all(model) for mark in marks) or any(
        tensor.data_type == TensorProto.INT8 for tensor in model.graph.initializer
    )


def quantise(
    model: onnx.ModelProto, images: UInt8Array, preprocessing: Preprocessing, recipe: Recipe
) -> onnx.ModelProto:
    """Return the model with 8-bit weights and activations; its metadata are kept.

    Raises InputError if the model has no network of the form that Frostline exports; EngineError if
    ONNX Runtime cannot do it.

    ``model``: as Frostline exports it. ``images``, shape (n, size, size, 3): prepared images that
    set the range of every activation.
    """
    tools = quantization()
    before, network = _split(model, preprocessing.size)
    names = _to_quantise(network)
    if not names:
        raise InputError("The network has no layer that can be made 8 bits wide.")
    if not recipe.activations:
        return _joined(model, before, narrow_weights(network, names))
    values = preprocessing.normalise(images)
    if not recipe.sums:
        # products of two activations are those of attention
        weights = {tensor.name for tensor in network.graph.initializer}
        layers = [node for node in network.graph.node if node.op_type in _WITH_WEIGHTS]
        names = [n.name for n in layers if n.name in names and n.input[1] in weights]
    spared = most_sensitive(network, values, names, recipe.spared) if recipe.spared else set()
    with TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "network.onnx", Path(folder) / "int8.onnx"
        onnx.save(network, source)
        try:
            tools.quantize_static(
                source,
                target,
                _Reader(values),
                quant_format=tools.QuantFormat.QDQ,
                op_types_to_quantize=list(_QUANTISED if recipe.sums else _WITH_WEIGHTS),
                per_channel=True,
                reduce_range=recipe.narrow,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                nodes_to_quantize=[name for name in names if name not in spared],
                calibrate_method=tools.CalibrationMethod.MinMax,
                extra_options={
                    "MatMulConstBOnly": True,
                    "OpTypesToExcludeOutputQuantization": [] if recipe.sums else list(_PRODUCTS),
                },
            )
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise EngineError(f"ONNX Runtime cannot make this network smaller: {first}") from error
        smaller = onnx.load(target)
    return _joined(model, before, narrow_weights(smaller, spared) if spared else smaller)


def recipes_for(model: onnx.ModelProto) -> Sequence[Recipe]:
    """Return what is worth trying, the fastest first.

    Networks of attention do not bear 8 bits between their blocks, and run no faster for them.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    attends = any(
        node.op_type == "MatMul"
        and not node.name.startswith(_PREPARING)
        and weights.isdisjoint(node.input)
        for node in model.graph.node
    )
    return RECIPES[RECIPES.index(PRODUCTS) :] if attends else RECIPES


def layers_in_float(model: onnx.ModelProto) -> tuple[int, int]:
    """Count the layers whose weights stayed in float32, and all layers with weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    layers = [node.input[1] for node in model.graph.node if node.op_type in _WITH_WEIGHTS]
    smaller = sum(made.get(name) in ("DequantizeLinear", "Mul") for name in layers)
    plain = sum(name in weights for name in layers)
    return plain, plain + smaller


class _Reader:
    """Hands out a few images at a time, as ONNX Runtime's calibration asks for them."""

    def __init__(self, values: FloatArray) -> None:
        self._batches = iter(np.array_split(values, max(1, len(values) // _BATCH)))

    def get_next(self) -> dict[str, FloatArray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {_NORMALISED: batch}


def _split(model: onnx.ModelProto, size: int) -> tuple[list[onnx.NodeProto], onnx.ModelProto]:
    """Take preprocessing off: its nodes, and a model of normalised images."""
    if not any(_NORMALISED in node.output for node in model.graph.node):
        raise InputError(_FOREIGN)
    needed = _needed(model.graph.node, [_NORMALISED])
    before = [node for node in model.graph.node if needed.intersection(node.output)]
    network = onnx.ModelProto()
    network.CopyFrom(model)
    graph = network.graph
    del graph.node[:], graph.input[:]
    graph.node.extend(n for n in model.graph.node if not needed.intersection(n.output))
    graph.input.append(
        helper.make_tensor_value_info(_NORMALISED, TensorProto.FLOAT, ["N", 3, size, size])
    )
    _turn_weights(graph)
    _drop_unused(graph)
    return before, network


def _turn_weights(graph: onnx.GraphProto) -> None:
    """Transpose weights here, not in the graph: only what is constant can be made narrow."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "Transpose" or node.input[0] not in weights:
            nodes.append(node)
            continue
        axes = next((list(one.ints) for one in node.attribute if one.name == "perm"), None)
        turned = np.ascontiguousarray(numpy_helper.to_array(weights[node.input[0]]).transpose(axes))
        graph.initializer.append(numpy_helper.from_array(turned, node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)


def _joined(
    model: onnx.ModelProto, before: Sequence[onnx.NodeProto], network: onnx.ModelProto
) -> onnx.ModelProto:
    """Put preprocessing in front of a quantised network; names and metadata are the model's."""
    whole = onnx.ModelProto()
    whole.CopyFrom(network)
    graph = whole.graph
    behind = list(network.graph.node)
    first = {name for node in before for name in node.input}
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend([*before, *behind])
    graph.initializer.extend(t for t in model.graph.initializer if t.name in first)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.name = model.graph.name
    _drop_unused(graph)
    del whole.metadata_props[:]
    whole.metadata_props.extend(model.metadata_props)
    return whole


def _to_quantise(network: onnx.ModelProto) -> list[str]:
    """Name the nodes between the image and the layers that give the logits."""
    nodes = network.graph.node
    logits = _logits(network)
    inside = _needed(nodes, [logits])
    last = _last_layers(nodes, logits)
    return [
        node.name
        for node in nodes
        if inside.intersection(node.output)
        and node.name not in last
        and node.op_type in _QUANTISED
        # distances are differences of large numbers, and their sum with the rest is the logits
        and not node.name.startswith(KERNEL)
    ]


def _logits(network: onnx.ModelProto) -> str:
    """Name what the predictions are made of: before softmax or sigmoid, and the temperature."""
    made = {name: node for node in network.graph.node for name in node.output}
    if VALUES in made and made[VALUES].op_type == "Identity":
        return str(made[VALUES].input[0])
    link = made.get(OUTPUT)
    scaled = made.get(link.input[0]) if link is not None else None
    if (
        link is None
        or link.op_type not in ("Softmax", "Sigmoid")
        or scaled is None
        or scaled.op_type != "Div"
    ):
        raise InputError(_FOREIGN)
    return str(scaled.input[0])


def _last_layers(nodes: Iterable[onnx.NodeProto], logits: str) -> set[str]:
    """Name the layers with weights that no other one follows on the way to the logits."""
    made = {name: node for node in nodes for name in node.output}
    found: set[str] = set()
    queue = [logits]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        node = made.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in _WITH_WEIGHTS:
            found.add(node.name)
        else:
            queue += node.input
    return found


def _needed(nodes: Iterable[onnx.NodeProto], names: Iterable[str]) -> set[str]:
    """Name some tensors, and all that they are computed from."""
    made = {name: node for node in nodes for name in node.output}
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name and name not in found:
            found.add(name)
            queue += made[name].input if name in made else ()
    return found


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    used |= {name for node in graph.node for name in _captured(node)}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _captured(node: onnx.NodeProto) -> Iterator[str]:
    """Names that inner graphs of a node read."""
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from inner.input
            yield from _captured(inner)


def _all(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from model.graph.node
    for function in model.functions:
        yield from function.node


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back advice for people who call ONNX Runtime's quantisation themselves."""
    runtime = onnxruntime()
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    # of its own sessions, a warning for every tensor that is not used
    runtime.set_default_logger_severity(_ERRORS)
    try:
        yield
    finally:
        root.setLevel(before)
        runtime.set_default_logger_severity(_WARNINGS)
