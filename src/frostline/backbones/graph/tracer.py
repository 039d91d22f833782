"""Record what a module does with one image batch as a graph of named operations."""

from __future__ import annotations

import contextlib
import inspect
import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torchvision.models.feature_extraction  # noqa: F401  (registers torchvision's own leaves)
from timm.layers import get_notrace_functions, get_notrace_modules
from timm.layers.drop import DropBlock2d, DropPath
from timm.layers.norm_act import BatchNormAct2d, GroupNormAct, LayerNormAct
from torch import fx, nn
from torch.fx._symbolic_trace import _maybe_revert_all_patches
from torch.utils import _pytree as pytree
from torchvision.ops import StochasticDepth

from frostline.backbones.freeze.eval_mode import eval_mode

# these decide by their own `training` inside forward, so a trace through them would fix one mode
_MODE_DEPENDENT: tuple[type[nn.Module], ...] = (
    BatchNormAct2d,
    GroupNormAct,
    LayerNormAct,
    DropPath,
    DropBlock2d,
    StochasticDepth,
    torch.jit.ScriptModule,
)

# operations whose Python value, or whose output's shape, depends on what an image shows
_READS_PIXELS = frozenset(
    """item tolist numpy is_nonzero equal allclose nonzero argwhere unique unique_consecutive
    unique_dim masked_select bincount histogram histogramdd""".split()  # noqa: SIM905
)

#: functions of torch that make tensors from sizes
_FACTORIES = ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")

_DECISION = "a decision depends on"

#: path of the network inside the wrapper that is traced
ROOT = "net"

#: what can go wrong inside someone else's forward while it is traced or run
FORWARD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    fx.proxy.TraceError,
)


class OnlyImage(nn.Module):
    """Calls a network with the image alone, so that its optional arguments stay constants."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> Any:
        """Whatever the network returns for a batch."""
        return self.net(x)


class BlockedError(Exception):
    """Tracing met something that a graph cannot hold.

    ``scope``: path of the innermost module that was running; empty for the network itself.
    ``operation``: what it did. ``by_pixels``: whether it decided by what the image shows.
    """

    def __init__(self, scope: str, operation: str) -> None:
        super().__init__(operation)
        self.scope = scope
        self.operation = operation
        self.by_pixels = _DECISION in operation


class _Value(fx.Proxy):
    """A traced value that knows, when asked, what it is for the example batch.

    Code like ``if x.shape[1] > 4`` or ``range(x.size(0))`` needs a Python number. Shapes may
    answer; pixels may not, for then the graph would depend on the picture.
    """

    def __index__(self) -> int:
        return int(self.tracer.python_value(self))  # type: ignore[attr-defined]

    def __int__(self) -> int:
        return int(self.tracer.python_value(self))  # type: ignore[attr-defined]

    def __float__(self) -> float:
        return float(self.tracer.python_value(self))  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self.tracer.concrete(self.node))  # type: ignore[attr-defined]


class Tracer(fx.Tracer):
    """torch.fx with the leaves of timm and torchvision, and with sizes from an example.

    ``example``: shape (n, channels, height, width). ``leaves``: module classes that are recorded as
    one operation. ``whole``: paths of modules that are recorded as one operation.
    """

    # what is computed from buffers must follow them when other weights are loaded
    proxy_buffer_attributes = True

    def __init__(
        self,
        example: torch.Tensor,
        *,
        leaves: frozenset[type[nn.Module]] = frozenset(),
        whole: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(autowrap_functions=tuple(get_notrace_functions()))
        self._example = example
        self._leaves = (*_MODE_DEPENDENT, *get_notrace_modules(), *leaves)
        self._whole = whole
        self._concrete: dict[fx.Node, Any] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether ``m`` is one operation; the network itself never is."""
        if module_qualified_name == ROOT:
            return False
        if isinstance(m, self._leaves) or module_qualified_name.removeprefix(f"{ROOT}.") in (
            self._whole
        ):
            return True
        if type(m) in (nn.ModuleList, nn.ModuleDict):
            return False
        return super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Wrap a node."""
        return _Value(node, self)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Decide a condition on shapes from the example."""
        return bool(self.python_value(obj))

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """Unpack a value whose length only the example can tell."""
        found = self.concrete(obj.node)
        return iter([operator.getitem(obj, i) for i in range(len(found))])

    def python_value(self, value: fx.Proxy) -> Any:
        """Return the number behind ``value`` for the example, if it comes from shapes alone."""
        found = self.concrete(value.node)
        if isinstance(found, torch.Tensor) or value.node in reading_nodes(
            value.node.graph, self._is_mask
        ):
            raise fx.proxy.TraceError(
                f"{_DECISION} the values of {value.node.name!r}, not on its shape"
            )
        return found

    def _is_mask(self, node: fx.Node) -> bool:
        value = self.concrete(node)
        return isinstance(value, torch.Tensor) and value.dtype == torch.bool

    def concrete(self, node: fx.Node) -> Any:
        """Compute what ``node`` is for the example batch."""
        if node not in self._concrete:
            # the tracer patches modules and functions to record; this must not be recorded
            with _maybe_revert_all_patches(), torch.no_grad():
                self._concrete[node] = self._compute(node)
        return self._concrete[node]

    def _compute(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._example.clone()
        if node.op == "get_attr":
            return _attribute(self.root, str(node.target))
        # parents first and by a loop: a deep network would exceed the recursion limit
        for earlier in node.graph.nodes:
            if earlier is node:
                break
            if earlier not in self._concrete and earlier.op != "output":
                self._concrete[earlier] = self._compute(earlier)
        args = fx.map_arg(node.args, self._concrete.__getitem__)
        kwargs = fx.map_arg(node.kwargs, self._concrete.__getitem__)
        if node.op == "call_module":
            with eval_mode(self.root.get_submodule(str(node.target))) as module:
                return module.forward(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        function: Any = node.target
        return function(*args, **kwargs)

    def record(self, net: nn.Module) -> tuple[fx.Graph, nn.Module]:
        """Trace ``net`` and return the graph with the wrapper that owns its constants.

        Raises BlockedError.
        """
        wrapper = OnlyImage(net)
        wrapper.training = net.training
        try:
            with _recorded_factories(self):
                return self.trace(wrapper), wrapper
        except FORWARD_ERRORS as error:
            scope = self._running()
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise BlockedError(scope, said) from error

    def _running(self) -> str:
        paths = [p.removeprefix(ROOT).lstrip(".") for p in self.module_stack]
        return paths[-1] if paths else ""


@contextlib.contextmanager
def _recorded_factories(tracer: fx.Tracer) -> Iterator[None]:
    """Record torch.ones(n, m) of traced sizes; it does not ask its arguments by itself."""
    originals = {name: getattr(torch, name) for name in _FACTORIES}

    def recorded(original: Callable[..., Any]) -> Callable[..., Any]:
        def make(*args: Any, **kwargs: Any) -> Any:
            given = pytree.tree_leaves((args, kwargs))
            if any(isinstance(value, fx.Proxy) for value in given):
                return tracer.create_proxy("call_function", original, args, kwargs)
            return original(*args, **kwargs)

        return make

    try:
        for name, original in originals.items():
            setattr(torch, name, recorded(original))
        yield
    finally:
        for name, original in originals.items():
            setattr(torch, name, original)


@contextlib.contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Put back every buffer and attribute that somebody's forward writes to meanwhile."""
    buffers = [
        (child, name, buffer, None if buffer is None else buffer.detach().clone())
        for child in module.modules()
        for name, buffer in child._buffers.items()
    ]
    attributes = [(child, dict(child.__dict__)) for child in module.modules()]
    try:
        yield
    finally:
        with torch.no_grad():
            for child, name, buffer, value in buffers:
                child._buffers[name] = buffer
                if buffer is not None and value is not None and not torch.equal(buffer, value):
                    buffer.copy_(value)
        for child, before in attributes:
            for name in [n for n, v in child.__dict__.items() if isinstance(v, fx.Proxy)]:
                if name in before:
                    child.__dict__[name] = before[name]
                else:
                    del child.__dict__[name]


def assigned_buffer(module: nn.Module) -> tuple[str, str] | None:
    """Path of a module, and the buffer that its forward has replaced while it was traced."""
    for path, child in module.named_modules():
        for name, buffer in child._buffers.items():
            if isinstance(buffer, fx.Proxy):
                return path, name
    return None


@contextlib.contextmanager
def watched(net: nn.Module, method: str, see: Callable[[Any], None]) -> Iterator[None]:
    """Tell ``see`` what ``net.method`` returns while the block runs."""
    original = getattr(net, method, None)
    if not callable(original) or method in net.__dict__:
        yield
        return

    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        see(result)
        return result

    net.__dict__[method] = call
    try:
        yield
    finally:
        del net.__dict__[method]


def wants_only_an_image(net: nn.Module) -> bool:
    """Whether ``forward`` can be called with one argument."""
    try:
        inspect.signature(net.forward).bind(None)
    except TypeError:
        return False
    return True


def _attribute(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def reading_nodes(graph: fx.Graph, is_mask: Callable[[fx.Node], bool]) -> set[fx.Node]:
    """Return the nodes whose value, or shape, may depend on what the image shows.

    An image's size alone decides everything else that is no tensor.
    """
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if any(p in found for p in node.all_input_nodes) or _reads(node, is_mask):
            found.add(node)
    return found


def _reads(node: fx.Node, is_mask: Callable[[fx.Node], bool]) -> bool:
    if node.op not in ("call_function", "call_method"):
        return False
    name = getattr(node.target, "__name__", str(node.target))
    if name in _READS_PIXELS or (name == "where" and len(node.args) == 1):
        return True
    # indexing by a mask gives as many values as the mask has hits
    return name == "getitem" and any(is_mask(index) for index in node.all_input_nodes[1:])
