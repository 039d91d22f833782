"""How a gradient passes each operator of ONNX backwards, its gates held as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

Array = npt.NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]
Gradients = Iterator[tuple[str, Array]]

#: what makes gates: nothing passes these backwards
HELD = frozenset(
    {
        "ArgMax",
        "Equal",
        "Erf",
        "Greater",
        "HardSigmoid",
        "Less",
        "Reciprocal",
        "ReduceL2",
        "Shape",
        "Sigmoid",
        "Size",
        "Softmax",
        "Sqrt",
        "Tanh",
    }
)
#: activations that are one operator: a gate of their own value over what went in
_ACTIVATIONS = ("Clip", "Elu", "Gelu", "HardSwish", "LeakyRelu", "Mish", "Pow", "Relu", "Swish")
#: what moves values and computes nothing, by the shape that it had before
_RESHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
_SAME = ("Cast", "Dropout", "Identity")
_VALUELESS = (
    *_RESHAPING,
    *_SAME,
    "Add",
    "Concat",
    "Expand",
    "GlobalAveragePool",
    "Sub",
    "Transpose",
)


class Step:
    """One node between the start and the ends.

    ``live``: those of its inputs that are computed from the start, gates excepted.
    """

    def __init__(self, node: onnx.NodeProto, live: tuple[str, ...]) -> None:
        self.kind: str = node.op_type
        self.inputs: list[str] = list(node.input)
        self.outputs: list[str] = [name for name in node.output if name]
        self.live = live
        self._node = node
        if self.kind == "LayerNormalization" or self.kind == "Dropout":
            self.outputs = self.outputs[:1]

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Return the node's attributes by name."""
        return {one.name: helper.get_attribute_value(one) for one in self._node.attribute}

    @property
    def has_rule(self) -> bool:
        """Whether a gradient can be carried through."""
        if self.kind == "Conv":
            sides = [*self.attributes["kernel_shape"], *self.attributes.get("strides", ())]
            return self.attributes.get("group", 1) == 1 and set(sides) == {1}
        return self.kind in RULES

    def needs(self) -> set[str]:
        """Name the tensors whose values the rule reads."""
        if self.kind in _VALUELESS:
            return set()
        if self.kind in _ACTIVATIONS:
            return {self.inputs[0], self.outputs[0]}
        if self.kind == "ReduceMax":
            return {*self.inputs, self.outputs[0]}
        if self.kind in ("Mul", "MatMul") and len(self.live) == 1:
            return {name for name in self.inputs if name not in self.live}
        if self.kind == "LayerNormalization":
            return set(self.inputs[:2])
        if self.kind in ("Mul", "MatMul"):
            return set(self.inputs)
        return {name for name in self.inputs[1:] if name}


Rule = Callable[[Step, Sequence[Array], Mapping[str, Array], Shapes], Gradients]


def _add(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del values
    for place, name in enumerate(step.inputs):
        if name in step.live:
            sign = -1.0 if step.kind == "Sub" and place else 1.0
            yield name, _summed(sign * given[0], shapes[name])


def _multiply(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    # of a product of two that depend on the image, each gets a half
    share = 1.0 / len([name for name in step.inputs if name in step.live])
    for name, other in (step.inputs, step.inputs[::-1]):
        if name in step.live:
            yield name, _summed(share * given[0] * values[other], shapes[name])


def _divide(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    above, below = step.inputs
    if above in step.live:
        yield above, _summed(given[0] / values[below], shapes[above])


def _matmul(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    share = 1.0 / len([name for name in step.inputs if name in step.live])
    left, right = step.inputs
    if left in step.live:
        yield left, _summed(share * given[0] @ values[right].swapaxes(-1, -2), shapes[left])
    if right in step.live:
        yield right, _summed(share * values[left].swapaxes(-1, -2) @ given[0], shapes[right])


def _gemm(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del shapes
    if step.inputs[0] in step.live and not step.attributes.get("transA"):
        weight = values[step.inputs[1]]
        turned = weight if step.attributes.get("transB") else weight.T
        yield step.inputs[0], step.attributes.get("alpha", 1.0) * given[0] @ turned


def _pointwise(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    """Through a convolution that reads one place at a time."""
    del shapes
    weight = values[step.inputs[1]].reshape(given[0].shape[1], -1)
    yield step.inputs[0], np.moveaxis(np.moveaxis(given[0], 1, -1) @ weight, -1, 1)


def _global_mean(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del values
    shape = shapes[step.inputs[0]]
    yield step.inputs[0], np.broadcast_to(given[0] / np.prod(shape[2:]), shape)


def _reshape(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del values
    yield step.inputs[0], given[0].reshape(shapes[step.inputs[0]])


def _same(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del values, shapes
    yield step.inputs[0], given[0]


def _transpose(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del values, shapes
    axes = step.attributes.get("perm") or range(given[0].ndim)[::-1]
    yield step.inputs[0], given[0].transpose(np.argsort(list(axes)))


def _concat(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    axis = step.attributes["axis"] % given[0].ndim
    # of what does not depend on the image only the room it takes is asked for
    known = [shapes[n][axis] if n in shapes else values[n].shape[axis] for n in step.inputs]
    ends = np.cumsum(known)
    for name, begin, end in zip(step.inputs, [0, *ends], ends, strict=False):
        if name in step.live:
            yield name, np.take(given[0], range(begin, end), axis=axis)


def _split(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del values, shapes
    yield step.inputs[0], np.concatenate(list(given), axis=step.attributes.get("axis", 0))


def _slice(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    name = step.inputs[0]
    whole = np.zeros(shapes[name], dtype=np.float32)
    rest = [values[one].ravel().tolist() if one else None for one in step.inputs[1:]]
    starts, ends = rest[0], rest[1]
    axes = rest[2] if len(rest) > 2 and rest[2] is not None else range(len(starts or ()))
    steps = rest[3] if len(rest) > 3 and rest[3] is not None else [1] * len(starts or ())
    place: list[slice] = [slice(None)] * whole.ndim
    for axis, begin, end, stride in zip(axes, starts or (), ends or (), steps, strict=True):
        # the farthest end backwards has no number in Python
        last = None if stride < 0 and end < -whole.shape[axis] else end
        place[axis] = slice(begin, last, stride)
    whole[tuple(place)] = given[0]
    yield name, whole


def _gather(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    name, places = step.inputs[0], values[step.inputs[1]]
    if name not in step.live:
        return
    whole = np.zeros(shapes[name], dtype=np.float32)
    axis = step.attributes.get("axis", 0) % whole.ndim
    moved = np.moveaxis(whole, axis, 0)
    gradient = given[0]
    if places.ndim:
        gradient = np.moveaxis(gradient, range(axis, axis + places.ndim), range(places.ndim))
    np.add.at(moved, places, gradient)
    yield name, whole


def _expand(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del values
    yield step.inputs[0], _summed(given[0], shapes[step.inputs[0]])


def _reduce(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    shape = shapes[step.inputs[0]]
    axes = _axes(step, values, len(shape))
    kept = [1 if axis in axes else side for axis, side in enumerate(shape)]
    count = np.prod([shape[axis] for axis in axes]) if step.kind == "ReduceMean" else 1
    yield step.inputs[0], np.broadcast_to(given[0].reshape(kept) / count, shape)


def _largest(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    """Back to the values that were the largest ones; equal ones share."""
    shape = shapes[step.inputs[0]]
    axes = _axes(step, values, len(shape))
    kept = [1 if axis in axes else side for axis, side in enumerate(shape)]
    chosen = values[step.inputs[0]] == values[step.outputs[0]].reshape(kept)
    share = chosen / chosen.sum(axis=tuple(axes), keepdims=True)
    yield step.inputs[0], given[0].reshape(kept) * share


def _layer_norm(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    name = step.inputs[0]
    x = values[name]
    axes = tuple(range(step.attributes.get("axis", -1) % x.ndim, x.ndim))
    scale = np.sqrt(x.var(axis=axes, keepdims=True) + step.attributes.get("epsilon", 1e-5))
    gradient = given[0] * values[step.inputs[1]] / scale
    yield name, gradient - gradient.mean(axis=axes, keepdims=True)


def _batch_norm(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del shapes
    scale, _, _, variance = (values[name] for name in step.inputs[1:5])
    slope = scale / np.sqrt(variance + step.attributes.get("epsilon", 1e-5))
    yield step.inputs[0], given[0] * slope.reshape(-1, *(1,) * (given[0].ndim - 2))


def _activation(
    step: Step, given: Sequence[Array], values: Mapping[str, Array], shapes: Shapes
) -> Gradients:
    del shapes
    x, y = values[step.inputs[0]], values[step.outputs[0]]
    away = np.abs(x) > 1e-12
    yield step.inputs[0], given[0] * np.where(away, y / np.where(away, x, 1.0), 0.0)


RULES: Mapping[str, Rule] = {
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Conv": _pointwise,
    "Div": _divide,
    "Expand": _expand,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_mean,
    "LayerNormalization": _layer_norm,
    "MatMul": _matmul,
    "Mul": _multiply,
    "ReduceMax": _largest,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "Slice": _slice,
    "Split": _split,
    "Sub": _add,
    "Transpose": _transpose,
    **dict.fromkeys(_RESHAPING, _reshape),
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_ACTIVATIONS, _activation),
}


def _axes(step: Step, values: Mapping[str, Array], rank: int) -> list[int]:
    """Return which axes are reduced."""
    said = values[step.inputs[1]].tolist() if len(step.inputs) > 1 and step.inputs[1] else None
    axes = step.attributes.get("axes", said)
    return [axis % rank for axis in (range(rank) if axes is None else axes)]


def _summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sum over what was repeated to fit."""
    extra = gradient.ndim - len(shape)
    found = gradient.sum(axis=tuple(range(extra))) if extra > 0 else gradient
    repeated = tuple(
        axis for axis, side in enumerate(shape) if side == 1 and found.shape[axis] != 1
    )
    return np.asarray(found.sum(axis=repeated, keepdims=True) if repeated else found)
