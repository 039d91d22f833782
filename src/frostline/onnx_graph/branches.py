"""Parallel branches of convolutions on one map, merged into the one convolution that they are.

Networks such as RepVGG (Ding et al., arXiv 2101.03697), MobileOne, FastViT and RepViT train several
branches side by side: convolutions of several sizes, a norm layer alone, the map itself. Their sum
is linear in the map, so a frozen one is a single convolution: fewer steps and fewer weights for the
same numbers. What is merged is read from the graph, so no kind of network has to be known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from frostline.onnx_graph.norm_layers import Array, norm_epsilon

Float64 = npt.NDArray[np.float64]
#: a kernel of shape (C, channels in / groups, height, width), and a bias of shape (C,)
_Values = Callable[[], tuple[Float64, Float64]]

_MAPS = 4
#: what becomes one without being a sum
_FOLDED = ["Conv", "BatchNormalization"]


@dataclass(frozen=True)
class _Branch:
    """A value as a convolution of another, ``source``.

    - ``shape``: of its kernel; ``values`` computes that, with its bias, when it is wanted.
    - ``low``: offset of the kernel's first row and column from the place that is computed.
    - ``over``: what padding adds at the far end beyond the kernel; equal for maps of equal size.
    - ``inside``: the nodes that the value is made by. ``work``: numbers that their kernels hold.
    """

    source: str
    shape: tuple[int, int, int, int]
    values: _Values
    groups: int
    inside: frozenset[int]
    work: int
    stride: tuple[int, int] = (1, 1)
    low: tuple[int, int] = (0, 0)
    over: tuple[int, int] = (0, 0)

    @property
    def pays(self) -> bool:
        """Whether one convolution in place of several nodes is no more work."""
        pointwise = self.groups == self.shape[0] and prod(self.shape[1:]) == 1
        return len(self.inside) > 1 and not pointwise and prod(self.shape) <= self.work

    def scaled(self, factor: Float64, shift: Float64) -> _Branch:
        """Return it with every channel scaled and shifted."""

        def values() -> tuple[Float64, Float64]:
            kernel, bias = self.values()
            return kernel * factor.reshape(-1, 1, 1, 1), bias * factor + shift

        return replace(self, values=values)


def merge_branches(
    nodes: Sequence[onnx.NodeProto],
    tensors: Mapping[str, Array],
    *,
    keep: Collection[str],
    constants: Mapping[str, Array] | None = None,
    dtype: npt.DTypeLike = np.float32,
) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Merge sums of convolutions of one map, with the norm layers and factors around them.

    Returns nodes and tensors anew; the same ones where nothing can be merged.

    ``nodes``: in an order to run them. ``tensors``: weights among their inputs. ``keep``: values
    that somebody reads besides the nodes. ``constants``: other inputs whose values are known.
    ``dtype``: of weights that come of it. They are worked out in float64 and rounded once, so that
    a merged network is no farther from its own exact numbers than the branches are. For that, norm
    layers must still be there; one behind a single convolution is left to :func:`fold_norms`.
    """
    branches = _Reader({**(constants or {}), **tensors}).read(nodes)
    readers: dict[str, set[int]] = {}
    for index, node in enumerate(nodes):
        for name in node.input:
            readers.setdefault(name, set()).add(index)

    def is_closed(branch: _Branch, index: int) -> bool:
        """Whether nobody else reads what lies inside."""
        inner = (name for i in branch.inside - {index} for name in nodes[i].output)
        return all(name not in keep and readers[name] <= branch.inside for name in inner)

    def is_wanted(branch: _Branch, index: int) -> bool:
        inside = [nodes[i] for i in sorted(branch.inside)]
        if [node.op_type for node in inside] == _FOLDED and len(readers[inside[0].input[1]]) == 1:
            return False
        return branch.pays and is_closed(branch, index)

    gone: set[int] = set()
    made: dict[int, onnx.NodeProto] = {}
    found = dict(tensors)
    # the last node of a sum comes first: what lies inside goes with it
    for index in reversed(range(len(nodes))):
        output = nodes[index].output[0]
        if index in gone:
            continue
        branch = next((b for b in branches.get(output, ()) if is_wanted(b, index)), None)
        if branch is not None:
            gone |= branch.inside - {index}
            made[index] = _written(branch, output, found, dtype)
    return [made.get(i, node) for i, node in enumerate(nodes) if i not in gone], found


def with_merged_branches(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with its branches merged; the same object where there are none."""
    graph = model.graph
    tensors = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    outputs = [value.name for value in graph.output]
    nodes, found = merge_branches(graph.node, tensors, keep=outputs)
    if len(nodes) == len(graph.node):
        return model
    merged = onnx.ModelProto()
    merged.CopyFrom(model)
    del merged.graph.node[:], merged.graph.initializer[:], merged.graph.value_info[:]
    merged.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input} | set(outputs)
    merged.graph.initializer.extend(value for value in graph.initializer if value.name in used)
    merged.graph.initializer.extend(
        numpy_helper.from_array(value, name)
        for name, value in found.items()
        if name in used and name not in tensors
    )
    return merged


def _written(
    branch: _Branch, output: str, tensors: dict[str, Array], dtype: npt.DTypeLike
) -> onnx.NodeProto:
    """Return the convolution that a branch is; its weights join ``tensors``."""
    weight, bias = f"{output}/merged_weight", f"{output}/merged_bias"
    kernel, shift = branch.values()
    tensors[weight], tensors[bias] = kernel.astype(dtype), shift.astype(dtype)
    size, low, over = branch.shape[2:], branch.low, branch.over
    return helper.make_node(
        "Conv",
        [branch.source, weight, bias],
        [output],
        name=f"{output}/merged",
        kernel_shape=list(size),
        pads=[-low[0], -low[1], *(low[i] + size[i] - 1 + over[i] for i in (0, 1))],
        strides=list(branch.stride),
        dilations=[1, 1],
        group=branch.groups,
    )


class _Reader:
    """Reads nodes in their order, and says which values are convolutions of others.

    ``known``: constants by name.
    """

    def __init__(self, known: Mapping[str, Array]) -> None:
        self._known = dict(known)
        #: a map can be one of the map before it, and of the one before that
        self._found: dict[str, tuple[_Branch, ...]] = {}

    def read(self, nodes: Sequence[onnx.NodeProto]) -> Mapping[str, tuple[_Branch, ...]]:
        """Return all values that are convolutions of others, by their names."""
        for index, node in enumerate(nodes):
            if len(node.output) != 1 or self._is_constant(node):
                continue
            found = self._branches(node)
            self._found[node.output[0]] = tuple(
                replace(branch, inside=branch.inside | {index}) for branch in found
            )
        return self._found

    def _is_constant(self, node: onnx.NodeProto) -> bool:
        """Whether a value turns on no image; factors of layers are often brought to a shape."""
        if node.op_type == "Constant":
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if value is not None:
                self._known[node.output[0]] = numpy_helper.to_array(value)
            return True
        given = [self._known[name] for name in node.input if name in self._known]
        if not given or len(given) < len(node.input):
            return False
        if node.op_type == "Identity":
            self._known[node.output[0]] = given[0]
        elif node.op_type == "Reshape" and 0 not in given[1]:
            self._known[node.output[0]] = given[0].reshape(given[1])
        elif node.op_type == "Unsqueeze" and len(given) > 1:
            self._known[node.output[0]] = np.expand_dims(given[0], tuple(given[1].tolist()))
        return True

    def _branches(self, node: onnx.NodeProto) -> list[_Branch]:
        kind, inputs = node.op_type, list(node.input)
        if kind == "Conv":
            return self._convolution(node)
        if kind == "BatchNormalization":
            return self._normalised(node)
        if kind == "Identity":
            return list(self._found.get(inputs[0], ()))
        if kind not in ("Add", "Sub", "Mul"):
            return []
        if inputs[1] in self._known:
            return self._with_constant(kind, *inputs)
        if inputs[0] in self._known:
            return [] if kind == "Sub" else self._with_constant(kind, *inputs[::-1])
        return [] if kind == "Mul" else self._sums(*inputs, sign=-1.0 if kind == "Sub" else 1.0)

    def _convolution(self, node: onnx.NodeProto) -> list[_Branch]:
        weight = self._known.get(node.input[1])
        shift = self._known.get(node.input[2]) if len(node.input) > 2 else np.float64(0)
        given: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        dilated = set(given.get("dilations", [1])) != {1}
        if weight is None or shift is None or weight.ndim != _MAPS or dilated:
            return []
        if given.get("auto_pad", b"NOTSET") != b"NOTSET":
            return []

        def values() -> tuple[Float64, Float64]:
            return weight.astype(np.float64), np.zeros(len(weight)) + shift

        top, left, bottom, right = given.get("pads", [0] * 4)
        down, across = given.get("strides", [1, 1])
        return [
            _Branch(
                source=node.input[0],
                shape=weight.shape,
                values=values,
                groups=int(given.get("group", 1)),
                inside=frozenset(),
                work=weight.size,
                stride=(down, across),
                low=(-top, -left),
                over=(top + bottom - weight.shape[2] + 1, left + right - weight.shape[3] + 1),
            )
        ]

    def _normalised(self, node: onnx.NodeProto) -> list[_Branch]:
        values = [self._known[name] for name in node.input[1:5] if name in self._known]
        if len(values) < 4:
            return []
        scale, shift, mean, variance = (value.astype(np.float64) for value in values)
        factor = scale / np.sqrt(variance + norm_epsilon(node))
        before = (*self._found.get(node.input[0], ()), _itself(node.input[0], len(factor)))
        return [b.scaled(factor, shift - mean * factor) for b in before]

    def _with_constant(self, kind: str, name: str, constant: str) -> list[_Branch]:
        """Read a factor or summand that every channel has one of."""
        found, value = [], self._known[constant]
        for branch in self._found.get(name, ()):
            each = _by_channel(value, branch.shape[0])
            if each is None:
                continue
            one, none = np.ones_like(each), np.zeros_like(each)
            if kind == "Mul":
                found.append(branch.scaled(each, none))
            else:
                found.append(branch.scaled(one, each if kind == "Add" else -each))
        return found

    def _sums(self, first: str, second: str, *, sign: float) -> list[_Branch]:
        ones, twos = self._found.get(first, ()), self._found.get(second, ())
        pairs = [(one, two) for one in ones for two in twos]
        # the map itself beside a convolution of it
        pairs += [(one, _itself(second, one.shape[0])) for one in ones]
        pairs += [(_itself(first, two.shape[0]), two) for two in twos]
        sums = (_together(one, two, sign) for one, two in pairs)
        return [branch for branch in sums if branch is not None]


def _itself(name: str, channels: int) -> _Branch:
    """Return a map as a convolution of itself."""
    return _Branch(
        source=name,
        shape=(channels, 1, 1, 1),
        values=lambda: (np.ones((channels, 1, 1, 1)), np.zeros(channels)),
        groups=channels,
        inside=frozenset(),
        work=channels,
    )


def _by_channel(value: Array, channels: int) -> Float64 | None:
    """Return a value for every channel of maps; None if it differs by place or image."""
    each = value.astype(np.float64).reshape(-1)
    if each.size == 1:
        return np.repeat(each, channels)
    shape = (1,) * (_MAPS - value.ndim) + value.shape
    return each if shape == (1, channels, 1, 1) else None


def _together(one: _Branch, two: _Branch, sign: float) -> _Branch | None:
    """Add two convolutions of one map; None where they do not fit each other."""
    fields = ((b.source, b.stride, b.over, b.shape[0]) for b in (one, two))
    if len(set(fields)) > 1:
        return None
    channels, groups = one.shape[0], min(one.groups, two.groups)
    wide = {_width_in(one, groups), _width_in(two, groups)}
    width = wide.pop()
    if wide or width is None:
        return None
    low = (min(one.low[0], two.low[0]), min(one.low[1], two.low[1]))
    size = tuple(max(b.low[i] + b.shape[2 + i] for b in (one, two)) - low[i] for i in (0, 1))

    def values() -> tuple[Float64, Float64]:
        kernel, bias = np.zeros((channels, width, *size)), np.zeros(channels)
        for branch, factor in ((one, 1.0), (two, sign)):
            own, shift = branch.values()
            top, left = branch.low[0] - low[0], branch.low[1] - low[1]
            where = np.s_[:, :, top : top + own.shape[2], left : left + own.shape[3]]
            kernel[where] += factor * _in_groups(own, width)
            bias += factor * shift
        return kernel, bias

    return _Branch(
        source=one.source,
        shape=(channels, width, size[0], size[1]),
        values=values,
        groups=groups,
        inside=one.inside | two.inside,
        work=one.work + two.work,
        stride=one.stride,
        low=low,
        over=one.over,
    )


def _width_in(branch: _Branch, groups: int) -> int | None:
    """Return how many channels a kernel reads at a time once it is one of so many groups."""
    if branch.groups == groups:
        return branch.shape[1]
    channels = branch.shape[0]
    # a channel that is read on its own becomes one of several
    own = branch.groups == channels and branch.shape[1] == 1 and channels % groups == 0
    return channels // groups if own else None


def _in_groups(kernel: Float64, width: int) -> Float64:
    """Return a kernel that reads so many channels at a time, most of them times zero."""
    channels = len(kernel)
    if kernel.shape[1] == width:
        return kernel
    wide = np.zeros((channels, width, *kernel.shape[2:]))
    wide[np.arange(channels), np.arange(channels) % width] = kernel[:, 0]
    return wide
