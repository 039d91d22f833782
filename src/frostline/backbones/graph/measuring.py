"""Measure every step of a traced network: shapes, work, parameters, receptive field."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any

import torch
from timm.layers.drop import DropPath
from torch import fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torchvision.ops import StochasticDepth

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.graph.tracer import reading_nodes, unchanged
from frostline.backbones.graph.tracing import GraphRunner, Traced, scopes_of
from frostline.backbones.graph.window_fields import reached_by_one_pixel


@dataclass(frozen=True)
class Step:
    """One node of the graph that depends on the image.

    - ``scopes``: paths of the modules that were running, outermost first; the leaf itself included.
    - ``shape``: output shape without the batch; None when the output is not one tensor per image.
    - ``macs``: multiply-accumulates of this node alone, for one image: convolutions, matrix
      products and attention.
    - ``tensors``: targets of the graph (modules, parameters, buffers) that this step reads.
    - ``overwritten``: whether a later step writes into this step's result.
    - ``field``: None where it is not defined.
    - ``reached``: which values of an image one pixel reaches; only behind attention within windows.
    """

    node: fx.Node
    scopes: tuple[str, ...]
    shape: tuple[int, ...] | None
    macs: int
    tensors: frozenset[str]
    overwritten: bool
    field: ReceptiveField | None
    reached: torch.Tensor | None = None


@dataclass(frozen=True)
class Size:
    """A number or shape that follows from the image's size alone."""

    value: Any


@dataclass(frozen=True)
class PerImage:
    """A number that is ``times`` the number of images."""

    times: int


@dataclass(frozen=True)
class ReceptiveField:
    """The square of input pixels that one output value can see, and the step between squares.

    ``size`` is infinite where every value sees the whole image.
    """

    size: float
    stride: float

    def through(self, kernel: int, stride: int, dilation: int) -> ReceptiveField:
        """Return the field behind a convolution or pooling."""
        wider = self.size + (kernel - 1) * dilation * self.stride
        return ReceptiveField(wider, self.stride * stride)


_EVERYTHING = ReceptiveField(math.inf, math.inf)

# one output value reads one place of the input, however the values are arranged
_POINTWISE_MODULES = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.Identity,
    nn.modules.dropout._DropoutNd,
    DropPath,
    StochasticDepth,
    nn.PixelShuffle,
)
_POINTWISE_NAMES = frozenset(
    """add iadd sub mul imul truediv div neg pow relu relu_ relu6 hardtanh hardswish silu gelu
    sigmoid hardsigmoid tanh softplus mish elu leaky_relu clamp square sqrt rsqrt exp add_ mul_ div_
    cat concat chunk split getitem contiguous permute transpose flatten unsqueeze squeeze clone
    to type float dropout layer_norm batch_norm linear""".split()  # noqa: SIM905
)
_GLOBAL_NAMES = frozenset(
    """matmul bmm baddbmm scaled_dot_product_attention adaptive_avg_pool2d adaptive_max_pool2d
    einsum softmax""".split()  # noqa: SIM905
)
#: dimensions of a map, without the batch
_MAP = 3
_ACTIVATIONS_HOME = "torch.nn.modules.activation"


def moving_nodes(graph: fx.Graph, sizes: Container[str] = frozenset()) -> set[fx.Node]:
    """Return the nodes whose value changes with the pixels of the image.

    Constants do not, nor do the nodes named in ``sizes``, nor what follows from both alone.
    """
    moving: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or (
            node.name not in sizes and any(parent in moving for parent in node.all_input_nodes)
        ):
            moving.add(node)
    return moving


def find_sizes(traced: Traced, batch: int) -> dict[str, Size]:
    """Return what can be known of the image's size alone, by node name."""
    reading = reading_nodes(traced.graph, traced.masks.__contains__)
    found = {
        node.name: _size(values, batch)
        for node, values in traced.sizes.items()
        if node not in reading
    }
    return {name: size for name, size in found.items() if size is not None}


def measure(
    net: nn.Module, traced: Traced, example: torch.Tensor, sizes: Container[str]
) -> list[Step]:
    """Run one batch through ``traced`` and return its image-dependent steps in order."""
    meter = _Meter(net, traced)
    with eval_mode(net), unchanged(net), torch.no_grad():
        meter.run(example.clone())
    live = moving_nodes(traced.graph, sizes)
    batch = len(example)
    fields: dict[fx.Node, ReceptiveField | None] = {}
    steps = []
    constant = {n: _reads(n) for n in traced.graph.nodes if n not in live}
    for node in traced.graph.nodes:
        if node in live:
            fields[node] = _field(net, node, fields)
        if node not in live or node.op in ("placeholder", "output"):
            continue
        shape, macs = meter.shapes[node], meter.macs[node]
        # with one image more, the batch is what has grown by one
        leads = traced.leads.get(node, ())
        whole = bool(shape) and leads[:2] in ((batch, batch + 1), (batch,))
        steps.append(
            Step(
                node=node,
                scopes=scopes_of(node),
                shape=shape[1:] if shape is not None and whole else None,
                macs=macs // batch,
                tensors=_reads(node).union(*(constant.get(p, ()) for p in _constants(node, live))),
                overwritten=node in meter.overwritten,
                field=fields[node],
            )
        )
    if not any(_within_windows(step) for step in steps):
        return steps
    far = {s.node for s in steps if s.shape is not None and len(s.shape) == _MAP and _is_far(s)}
    reached = reached_by_one_pixel(net, traced, example, far)
    return [replace(step, reached=reached.get(step.node)) for step in steps]


def _within_windows(step: Step) -> bool:
    """Whether an operation joins all values of its input, which holds parts of images."""
    name = getattr(step.node.target, "__name__", step.node.target)
    return step.shape is None and name in _GLOBAL_NAMES


def _is_far(step: Step) -> bool:
    return step.field is None or step.field.size == math.inf


def _size(found: tuple[Any, ...] | None, batch: int) -> Size | None:
    """Express a value, known for ``batch`` images and for one more, by the number of images."""
    if not found:
        return None
    try:
        return Size(_template(found[0], found[-1], batch))
    except TypeError:
        return None


def _template(one: Any, other: Any, batch: int) -> Any:
    if isinstance(one, tuple | list) and type(one) is type(other) and len(one) == len(other):
        inner = [_template(a, b, batch) for a, b in zip(one, other, strict=True)]
        return inner if isinstance(one, list) else tuple(inner)
    kinds = int | float | bool | str | None | torch.dtype | torch.device | slice
    if isinstance(one, kinds) and isinstance(other, kinds) and one == other:
        return one
    if isinstance(one, int) and isinstance(other, int) and one % batch == 0:
        times = one // batch
        if other == times * (batch + 1):
            return PerImage(times)
    raise TypeError("this value depends on the batch in another way")


def _reads(node: fx.Node) -> frozenset[str]:
    return frozenset({str(node.target)} if node.op in ("call_module", "get_attr") else ())


def _constants(node: fx.Node, live: set[fx.Node]) -> set[fx.Node]:
    """All constant nodes that ``node`` needs, through other constant nodes."""
    found: set[fx.Node] = set()
    queue = [n for n in node.all_input_nodes if n not in live]
    while queue:
        parent = queue.pop()
        if parent not in found:
            found.add(parent)
            queue += parent.all_input_nodes
    return found


class _Meter(GraphRunner):
    """Records shape and multiply-accumulates of every node, and which results are overwritten."""

    def __init__(self, net: nn.Module, traced: Traced) -> None:
        super().__init__(net, traced.graph, traced.constants)
        self.shapes: dict[fx.Node, tuple[int, ...] | None] = {}
        self.macs: dict[fx.Node, int] = {}
        self.overwritten: set[fx.Node] = set()
        self._versions: dict[fx.Node, int] = {}
        self._memory: dict[int, list[fx.Node]] = {}

    def run_node(self, n: fx.Node) -> Any:
        before = {p: self.env.get(p) for p in n.all_input_nodes}
        with MacCounter() as counter:
            result = super().run_node(n)
        self.macs[n] = counter.macs
        value: Any
        for parent, value in before.items():
            changed = isinstance(value, torch.Tensor) and value._version != self._versions[parent]
            if changed:
                # whoever else looks at the same memory is overwritten with it
                self.overwritten.update(self._memory[value.untyped_storage().data_ptr()])
                self._versions[parent] = value._version
        is_tensor = isinstance(result, torch.Tensor)
        self.shapes[n] = tuple(result.shape) if is_tensor else None
        if is_tensor:
            self._versions[n] = result._version
            self._memory.setdefault(result.untyped_storage().data_ptr(), []).append(n)
        return result


class MacCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-accumulates of what runs inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            # the registry counts a multiplication and an addition as two
            self.macs += int(count(*args, **kwargs, out_val=result)) // 2
        return result


def _field(
    net: nn.Module, node: fx.Node, fields: dict[fx.Node, ReceptiveField | None]
) -> ReceptiveField | None:
    if node.op == "placeholder":
        return ReceptiveField(1, 1)
    parents = [fields[p] for p in node.all_input_nodes if p in fields]
    if any(p is None for p in parents) or not parents:
        return None
    known = [p for p in parents if p is not None]
    widest = max(known, key=lambda p: p.size)
    if widest.size == math.inf:
        return _EVERYTHING
    if node.op == "call_module":
        return _module_field(net.get_submodule(str(node.target)), widest)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name in _GLOBAL_NAMES:
        return _EVERYTHING
    if name in ("conv2d", "max_pool2d", "avg_pool2d"):
        return _function_field(net, name, node, widest)
    return widest if name in _POINTWISE_NAMES else None


def _module_field(layer: nn.Module, before: ReceptiveField) -> ReceptiveField | None:
    local = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
    if isinstance(layer, local):
        kernel, stride = _first(layer.kernel_size), _first(layer.stride)
        return before.through(kernel, stride, _first(getattr(layer, "dilation", 1)))
    if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d | nn.MultiheadAttention):
        return _EVERYTHING
    if isinstance(layer, nn.GroupNorm | nn.InstanceNorm2d):
        # its statistics come from the whole map
        return _EVERYTHING
    activates = type(layer).__module__ == _ACTIVATIONS_HOME
    if activates or isinstance(layer, (*_POINTWISE_MODULES, nn.Linear)):
        return before
    return None


def _function_field(
    net: nn.Module, name: str, node: fx.Node, before: ReceptiveField
) -> ReceptiveField | None:
    if name == "conv2d":
        weight = node.kwargs.get("weight", node.args[1] if len(node.args) > 1 else None)
        while isinstance(weight, fx.Node) and weight.op != "get_attr":
            inputs = weight.all_input_nodes
            weight = inputs[0] if inputs else None
        if not isinstance(weight, fx.Node):
            return None
        owner: Any = net
        for part in str(weight.target).split("."):
            owner = getattr(owner, part)
        shape, layer = owner.shape, net.get_submodule(str(weight.target).rpartition(".")[0])
        if len(shape) != 4:
            return None
        stride = _first(getattr(layer, "stride", 1))
        return before.through(shape[-1], stride, _first(getattr(layer, "dilation", 1)))
    kernel = node.kwargs.get("kernel_size", node.args[1] if len(node.args) > 1 else None)
    step = node.kwargs.get("stride", node.args[2] if len(node.args) > 2 else None)
    if not isinstance(kernel, int | tuple):
        return None
    step = step if step and isinstance(step, int | tuple) else kernel
    return before.through(_first(kernel), _first(step), 1)


def _first(value: Any) -> int:
    return int(value[-1]) if isinstance(value, tuple | list) else int(value)
