"""A network as an ONNX graph whose weights lie beside it, and the models that are made of it.

The graph is that of the network itself: BatchNorm is not folded, and every initialiser has the name
that it has in the state dict. So one small file serves for features, for what reaches every norm
layer, for re-estimated statistics, for pictures and for the delivered model, with the weights that
are put in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from frostline.core.cuts import Cut
from frostline.core.preprocessing import Preprocessing
from frostline.onnx_graph.branches import merge_branches
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.kernel_graph import kernel_nodes
from frostline.onnx_graph.norm_layers import (
    Array,
    add_batch_norm,
    add_moments,
    fold_norms,
    norm_epsilon,
    norm_name,
)
from frostline.onnx_graph.norm_points import (
    NormPoint,
    moments_output,
    read_norm_points,
)
from frostline.onnx_graph.pooling import pool_cut
from frostline.onnx_graph.preprocessing_graph import OPSET
from frostline.stats.kernel_part import KernelPart

#: of an output; "N" is the batch
Shape = Sequence[int | str]

#: of models that engines run: uint8 images (n, size, size, 3) to one float tensor (n, ...)
IMAGES, RESULT = "images", "result"
#: of the graph itself: normalised float32 images (n, 3, size, size)
NORMALISED = "normalised"

#: dimensions of a map
_MAPS = 4


@dataclass(frozen=True)
class NormLayer:
    """A BatchNorm of the graph: its path in the network, channels, and its epsilon.

    ``of_maps``: whether it gets maps (n, C, height, width), not tokens or vectors.
    """

    name: str
    channels: int
    eps: float
    of_maps: bool


class NetworkGraph:
    """Builds ONNX models from a graph without weights.

    Parameters
    ----------
    graph : bytes
        An ONNX model: input :data:`NORMALISED`, an output for every cut, by its name, and every
        tensor of the state dict that it uses as a further input; with the shape of what reaches
        every norm layer, and perhaps with outputs for what norm layers read.
    tensors : mapping of str to ndarray
        The state dict up to the last cut.
    cuts : sequence of Cut
        What its outputs are, by depth.

    Attributes
    ----------
    content : bytes
        The graph as it was given.
    """

    def __init__(self, graph: bytes, tensors: Mapping[str, Array], cuts: Sequence[Cut]) -> None:
        self.content = graph
        model = onnx.load_model_from_string(graph)
        self._graph, self._points = model.graph, read_norm_points(model)
        self._tensors = tensors
        self._cuts = {cut.name: cut for cut in cuts}

    @property
    def norms(self) -> list[NormLayer]:
        """BatchNorm layers in the order in which they run; a layer used twice comes once."""
        graph, found = self._graph, dict[str, NormLayer]()
        ranks = {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in (*graph.input, *graph.output, *graph.value_info)
        }
        for node in graph.node:
            if self._is_norm(node):
                name, channels = norm_name(node), len(self._tensors[node.input[3]])
                of_maps = ranks.get(node.input[0]) == _MAPS
                found.setdefault(name, NormLayer(name, channels, norm_epsilon(node), of_maps))
        return list(found.values())

    @property
    def norm_points(self) -> list[NormPoint]:
        """Norm layers whose inputs can be measured, by depth; of BatchNorm alone those of maps."""
        if self._points is not None:
            return self._points
        return [NormPoint(n.name, n.channels, n.eps) for n in self.norms if n.of_maps]

    def taps(
        self, names: Sequence[str], preprocessing: Preprocessing, *, folded: bool = True
    ) -> bytes:
        """Return the model that gives pooled activations at some cuts, side by side.

        ``folded`` merges norm layers into convolutions, and parallel branches into one; without it
        the graph is the network's own, to check the merged one against.
        """
        build = GraphBuilder("taps")
        self._normalise(build, preprocessing)
        after = GraphBuilder("pool")
        self._pool(after, names, RESULT)
        outputs: dict[str, Shape] = {
            RESULT: ["N", sum(self._cuts[name].pooled_width for name in names)]
        }
        return self._model(build, after, outputs, preprocessing, folded=folded)

    def maps(self, names: Sequence[str], preprocessing: Preprocessing) -> bytes:
        """Return the model that gives the activations at some cuts, as outputs of their names."""
        build = GraphBuilder("maps")
        self._normalise(build, preprocessing)
        outputs: dict[str, Shape] = {name: ["N", *self._cuts[name].shape] for name in names}
        return self._model(build, GraphBuilder("after"), outputs, preprocessing)

    def moments(self, names: Sequence[str], preprocessing: Preprocessing) -> bytes:
        """Return the model that gives what reaches some norm layers: for each its means and mean
        squares over space, side by side. A layer used twice counts where it is met first.
        """
        build, after = GraphBuilder("moments"), GraphBuilder("after")
        self._normalise(build, preprocessing)
        after.add("Concat", *self._moment_parts(names, after), output=RESULT, axis=1)
        width = {point.name: 2 * point.channels for point in self.norm_points}
        outputs: dict[str, Shape] = {RESULT: ["N", sum(width[name] for name in names)]}
        return self._model(build, after, outputs, preprocessing, folded=False)

    def _moment_parts(self, names: Sequence[str], after: GraphBuilder) -> list[str]:
        if self._points is not None:
            return [moments_output(name) for name in names]
        inputs: dict[str, str] = {}
        for node in self._graph.node:
            if self._is_norm(node):
                inputs.setdefault(norm_name(node), node.input[0])
        return [part for name in names for part in add_moments(after, inputs[name])]

    def batch_statistics(self, preprocessing: Preprocessing) -> bytes:
        """Return the model in which every norm layer uses the statistics of its batch.

        Its outputs are, for every norm layer as it runs, ``mean/PATH`` and ``var/PATH`` of shape
        (C,), the variance unbiased, as PyTorch's running statistics take them. A layer used twice
        has the mean of both.
        """
        build = GraphBuilder("statistics")
        self._normalise(build, preprocessing)
        nodes: list[onnx.NodeProto] = []
        seen: dict[str, list[tuple[str, str]]] = {}
        for node in self._graph.node:
            if not self._is_norm(node):
                nodes.append(node)
                continue
            part = GraphBuilder(f"statistics/{len(nodes)}")
            seen.setdefault(norm_name(node), []).append(add_batch_norm(part, node))
            nodes += part.nodes
            build.constants += part.constants
        after = GraphBuilder("after")
        outputs: dict[str, Shape] = {}
        channels = {norm.name: norm.channels for norm in self.norms}
        for name, found in seen.items():
            for what, values in zip(("mean", "var"), zip(*found, strict=True), strict=True):
                output = after.add("Mean", *values, output=f"{what}/{name}")
                outputs[output] = [channels[name]]
        return self._model(build, after, outputs, preprocessing, nodes=nodes, folded=False)

    def tensor_names(self, names: Sequence[str]) -> set[str]:
        """Return the tensors that some cuts rest on."""
        nodes = _needed(self._graph.node, names)
        return {name for node in nodes for name in node.input if name in self._tensors}

    def head(
        self,
        names: Sequence[str],
        weight: Array,
        bias: Array,
        *,
        outputs: tuple[str, str],
        source: str,
        kernel: KernelPart | None = None,
    ) -> onnx.ModelProto:
        """Return a classifier: normalised images to the logits of a head on pooled taps.

        Its input is called ``source``; its ``outputs`` are the logits, and the pooled taps that the
        head reads. ``weight`` has shape (C, D), ``bias`` (C,). ``kernel``: what is added to the
        linear outputs.
        """
        logits, features = outputs
        before, after = GraphBuilder("network"), GraphBuilder("head")
        before.add("Identity", source, output=NORMALISED)
        self._pool(after, names, features)
        linear = after.add(
            "Gemm",
            features,
            after.constant(weight, np.float32),
            after.constant(bias, np.float32),
            output=logits if kernel is None else None,
            transB=1,
        )
        if kernel is not None:
            beside = kernel_nodes(features, linear, kernel, output=logits)
            after.nodes += beside.nodes
            after.constants += beside.constants
        nodes, constants = self._assembled(before, after, [logits, features], folded=True)
        shape = ["N", 3, None, None]
        return _model_of(
            "classifier",
            nodes,
            helper.make_tensor_value_info(source, TensorProto.FLOAT, shape),
            {logits: ["N", len(bias)], features: ["N", weight.shape[1]]},
            constants,
        )

    def _is_norm(self, node: onnx.NodeProto) -> bool:
        """Whether a node is a BatchNorm with running statistics; some normalise weights by it."""
        return node.op_type == "BatchNormalization" and node.input[3] in self._tensors

    def _normalise(self, build: GraphBuilder, preprocessing: Preprocessing) -> None:
        """Turn uint8 images (n, size, size, 3) into what the network reads."""
        # the same float32 constants as in Preprocessing.normalise, so the bits are the same
        std = np.asarray(preprocessing.std, dtype=np.float32)
        mean = np.asarray(preprocessing.mean, dtype=np.float32)
        scale = (1.0 / (255.0 * std)).astype(np.float32).reshape(1, 3, 1, 1)
        planes = build.add("Transpose", IMAGES, perm=[0, 3, 1, 2])
        values = build.add("Cast", planes, to=TensorProto.FLOAT)
        scaled = build.add("Mul", values, build.constant(scale, np.float32))
        shift = build.constant((mean / std).reshape(1, 3, 1, 1), np.float32)
        build.add("Sub", scaled, shift, output=NORMALISED)

    def _pool(self, build: GraphBuilder, names: Sequence[str], output: str) -> None:
        """Add mean and standard deviation over space at every cut, side by side."""
        parts: list[str] = []
        for name in names:
            parts += pool_cut(build, name, self._cuts[name].layout, self._cuts[name].tokens)
        build.add("Concat", *parts, output=output, axis=1)

    def _model(
        self,
        before: GraphBuilder,
        after: GraphBuilder,
        outputs: Mapping[str, Shape],
        preprocessing: Preprocessing,
        *,
        nodes: Sequence[onnx.NodeProto] | None = None,
        folded: bool = True,
    ) -> bytes:
        """Return a model from images to some outputs of known shapes."""
        kept, constants = self._assembled(before, after, outputs, nodes=nodes, folded=folded)
        size = preprocessing.size
        images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["N", size, size, 3])
        model = _model_of("frostline", kept, images, outputs, constants)
        content: bytes = model.SerializeToString()
        return content

    def _assembled(
        self,
        before: GraphBuilder,
        after: GraphBuilder,
        outputs: Collection[str],
        *,
        nodes: Sequence[onnx.NodeProto] | None = None,
        folded: bool,
    ) -> tuple[list[onnx.NodeProto], Iterator[onnx.TensorProto]]:
        """Return the nodes that the outputs need, in order, and the constants that these need."""
        own = list(self._graph.node) if nodes is None else list(nodes)
        wanted = _needed(placed_early([*before.nodes, *own], after.nodes), outputs)
        tensors = dict(self._tensors)
        if folded:
            known = {c.name: numpy_helper.to_array(c) for c in self._graph.initializer}
            wanted, tensors = merge_branches(wanted, tensors, keep=outputs, constants=known)
            wanted, tensors = fold_norms(wanted, tensors, keep=outputs)
        used = {name for node in wanted for name in node.input}
        fixed = (*before.constants, *after.constants, *self._graph.initializer)
        # one after the other: a large network's weights are hundreds of megabytes
        weights = (
            numpy_helper.from_array(np.ascontiguousarray(tensors[name]), name)
            for name in tensors
            if name in used
        )
        return wanted, chain((c for c in fixed if c.name in used), weights)


def _model_of(
    name: str,
    nodes: Iterable[onnx.NodeProto],
    source: onnx.ValueInfoProto,
    outputs: Mapping[str, Shape],
    constants: Iterable[onnx.TensorProto],
) -> onnx.ModelProto:
    """Put a model together, with every constant copied once."""
    given = [
        helper.make_tensor_value_info(one, TensorProto.FLOAT, shape)
        for one, shape in outputs.items()
    ]
    model = helper.make_model(
        helper.make_graph(list(nodes), name, [source], given),
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    # what OPSET asks for; the newest would ask for a newer ONNX Runtime
    model.ir_version = 9
    for constant in constants:
        model.graph.initializer.add().CopyFrom(constant)
    return model


def placed_early(
    nodes: Sequence[onnx.NodeProto], after: Sequence[onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """Put every node that comes after the network where its inputs are first known.

    Otherwise engines keep each large map until the end.
    """
    made = {name for node in (*nodes, *after) for name in node.output}
    missing = [{name for name in node.input if name in made} for node in after]
    waiting = list(zip(after, missing, strict=True))
    ordered: list[onnx.NodeProto] = []
    known: set[str] = set()
    for node in nodes:
        ordered.append(node)
        known.update(node.output)
        while ready := [one for one, needs in waiting if needs <= known]:
            waiting = [(one, needs) for one, needs in waiting if not needs <= known]
            ordered += ready
            known.update(name for one in ready for name in one.output)
    return ordered


def _needed(nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """Return the nodes that some outputs rest on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
