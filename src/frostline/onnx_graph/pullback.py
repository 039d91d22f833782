"""Carry gradients back through an ONNX graph, with its gates held as they were for one image.

Attention weights, scales of norm layers and slopes of activations are gates: what they let through
depends on the image. Held as they were, they leave a network linear in what lies between two of
its tensors, so that value times gradient splits an answer exactly among the values. The plain
gradient does not: it mixes in how gates would have moved, which norm layers cancel against the
rest (Ali et al. 2022, XAI for transformers: better explanations through conservative propagation;
Achtibat et al. 2024, AttnLRP).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from frostline.core.errors import EngineError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.onnx_graph.pullback_rules import HELD, RULES, Step

Array = npt.NDArray[Any]

_SHAPE = "/shape of/"


class Pullback:
    """Runs a graph on images, and carries gradients from some of its tensors back to one of them.

    ``model``: its inputs are given to :meth:`run`. ``start``: the tensor whose gradient is wanted.
    ``ends``: tensors computed from it. ``also``: further tensors whose values are wanted.

    Raises EngineError if an operator between them has no rule, or ONNX Runtime cannot run it.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        start: str,
        ends: Sequence[str],
        *,
        also: Sequence[str] = (),
        threads: int,
    ) -> None:
        graph = model.graph
        self._start = start
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._constants |= _constant_nodes(graph.node)
        self._steps = _steps(graph.node, start, ends)
        live = {start, *(name for step in self._steps for name in step.outputs)}
        # what a joined tensor holds besides tells where in it the rest lies
        live |= {n for s in self._steps if s.kind == "Concat" for n in s.inputs}
        live -= self._constants.keys()
        needed = {name for step in self._steps for name in step.needs()} - self._constants.keys()
        self._wanted = list(dict.fromkeys([start, *ends, *also, *sorted(needed)]))
        self._shaped = sorted(live)
        self._session = open_session(
            _with_outputs(model, self._wanted, self._shaped).SerializeToString(), threads=threads
        )

    def run(self, feeds: Mapping[str, Array]) -> Linearized:
        """Run the graph; what it gives carries gradients back for these inputs.

        Raises EngineError if ONNX Runtime stops.
        """
        names = [*self._wanted, *(_SHAPE + name for name in self._shaped)]
        try:
            found: list[Array] = self._session.run(names, dict(feeds))
        except failures() as error:
            raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
        values = dict(zip(self._wanted, found, strict=False))
        sizes = found[len(self._wanted) :]
        shapes = {
            name: tuple(map(int, size)) for name, size in zip(self._shaped, sizes, strict=True)
        }
        return Linearized(self._steps, {**self._constants, **values}, shapes, self._start)


class Linearized:
    """A graph with its gates as they were in one run.

    ``values``: of the tensors that were asked for, by name.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        values: Mapping[str, Array],
        shapes: Mapping[str, tuple[int, ...]],
        start: str,
    ) -> None:
        self.values = values
        self._steps, self._shapes, self._start = steps, shapes, start

    def gradient(self, seeds: Mapping[str, Array]) -> Array:
        """Return the gradient at the start, in its shape, for gradients at some of the ends."""
        gradients: dict[str, Array] = dict(seeds)
        for step in reversed(self._steps):
            given = [gradients.get(name) for name in step.outputs]
            if all(one is None for one in given):
                continue
            filled = [
                np.zeros(self._shapes[name], dtype=np.float32) if one is None else one
                for name, one in zip(step.outputs, given, strict=True)
            ]
            rule = RULES[step.kind]
            for name, gradient in rule(step, filled, self.values, self._shapes):
                before = gradients.get(name)
                gradients[name] = gradient if before is None else before + gradient
        missing = np.zeros(self._shapes[self._start], dtype=np.float32)
        return gradients.get(self._start, missing)


def _steps(nodes: Iterable[onnx.NodeProto], start: str, ends: Sequence[str]) -> list[Step]:
    """Return what lies between, in the order in which it runs; gates are no part of it."""
    live, found = {start}, list[Step]()
    for node in nodes:
        if start in node.output:
            continue
        inputs = tuple(name for name in dict.fromkeys(node.input) if name in live)
        if inputs and node.op_type not in HELD:
            found.append(Step(node, inputs))
            live.update(found[-1].outputs)
    reaching, kept = set(ends), list[Step]()
    for step in reversed(found):
        if reaching.intersection(step.outputs):
            if not step.has_rule:
                raise EngineError(f"There is no rule to carry a gradient through {step.kind}.")
            kept.append(step)
            reaching.update(step.live)
    if start not in reaching:
        raise EngineError(f"{', '.join(ends)} are not computed from {start}.")
    return kept[::-1]


def _constant_nodes(nodes: Iterable[onnx.NodeProto]) -> dict[str, Array]:
    return {
        node.output[0]: numpy_helper.to_array(attribute.t)
        for node in nodes
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }


def _with_outputs(
    model: onnx.ModelProto, wanted: Iterable[str], shaped: Iterable[str]
) -> onnx.ModelProto:
    """Return the model with some tensors, and the shapes of some, as its outputs."""
    more = onnx.ModelProto()
    more.CopyFrom(model)
    graph = more.graph
    kinds = {
        one.name: one.type.tensor_type.elem_type
        for one in (*graph.value_info, *graph.input, *graph.output)
    }
    del graph.output[:]
    for name in wanted:
        kind = kinds.get(name) or TensorProto.FLOAT
        graph.output.append(helper.make_tensor_value_info(name, kind, None))
    for name in shaped:
        graph.node.append(helper.make_node("Shape", [name], [_SHAPE + name]))
        graph.output.append(helper.make_tensor_value_info(_SHAPE + name, TensorProto.INT64, None))
    return more
