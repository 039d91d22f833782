"""Turn a network into a graph that is right in train and in eval mode, or say what prevents it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from frostline.backbones.freeze.eval_mode import eval_mode, in_mode, original_class
from frostline.backbones.graph.tracer import (
    FORWARD_ERRORS,
    ROOT,
    BlockedError,
    Tracer,
    assigned_buffer,
    unchanged,
    wants_only_an_image,
    watched,
)
from frostline.core.errors import BackboneError

#: how often a module that blocks the tracer, or acts by its mode, may be made a single operation
_ATTEMPTS = 24

_CALL = re.compile(r"@\d+")


class ExampleError(BackboneError):
    """A network that does not run on its example; ``cause`` is what it raised."""

    def __init__(self, message: str, *, hint: str, cause: Exception) -> None:
        super().__init__(message, hint=hint)
        self.cause = cause


@dataclass(frozen=True)
class Traced:
    """A network as a graph whose targets are the network's own names.

    Attributes
    ----------
    graph : Graph
        In eval mode.
    training : Graph or None
        In train mode, where the network's own ``forward`` acts by its mode; None if both agree.
    constants : dict of str to Any
        Tensors that were made while tracing, by graph target.
    features : Node or None
        What ``forward_features`` returned, if the network has that method.
    whole : tuple of str
        Modules that could not be looked into, each one operation of the graph.
    how : {"traced", "children"}
        From a trace, or from the sequence of the network's children.
    sizes : dict of Node to tuple
        What every node that is no tensor was for two batch sizes (for one, if the network takes
        no other): shapes, and numbers made of them.
    leads : dict of Node to tuple of int
        The first dimension of every tensor, for the same batches.
    masks : set of Node
        Tensors of truth values.
    notes : list of str
        What a person should know about the trace.
    """

    graph: fx.Graph
    training: fx.Graph | None
    constants: dict[str, Any]
    features: fx.Node | None
    whole: tuple[str, ...] = ()
    how: str = "traced"
    sizes: dict[fx.Node, tuple[Any, ...]] = field(default_factory=dict)
    leads: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)
    masks: set[fx.Node] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def trace(net: nn.Module, name: str, example: torch.Tensor) -> Traced:
    """Trace ``net``; modules that cannot be traced become single operations.

    Raises BackboneError if neither a trace nor the sequence of the children computes what the
    network computes; names the operation and the module.

    ``net``: its weights, statistics and modes stay as they are. ``name``: for messages.
    ``example``: shape (n, channels, height, width).
    """
    if not wants_only_an_image(net):
        raise BackboneError(
            f"{name}: forward() needs more than one image batch.",
            hint="Wrap the network in a module whose forward takes the images alone.",
        )
    with unchanged(net):
        return _trace(net, name, example)


def _trace(net: nn.Module, name: str, example: torch.Tensor) -> Traced:
    expected = _outputs(net, name, example)
    try:
        found = _trace_both(net, example)
        reason = _difference(net, found, example, expected)
        if not reason:
            return found
        blocked = BlockedError("", f"the traced graph gave other numbers ({reason})")
    except BlockedError as error:
        blocked = error
    chain = None if blocked.by_pixels and not blocked.scope else _children_as_graph(net)
    if chain is not None and not (
        _difference(net, chain, example, expected) or _differs_in_training(net, chain, example)
    ):
        chain.notes.append(
            f"Could not be traced ({blocked.operation}); cut between its children instead."
        )
        return chain
    where = f"in {blocked.scope!r} " if blocked.scope else "in its own forward() "
    raise BackboneError(
        f"{name} cannot be cut: {where}({_class_of(net, blocked.scope)}): {blocked.operation}.",
        hint="Its children do not form a plain sequence either; frostline.freeze(module, "
        "patterns) still works by names.",
    )


def structure_of(net: nn.Module) -> list[tuple[Any, ...]]:
    """Return what a trace turns on, as far as somebody may change it: layers, not weights."""
    return [
        (name, type(module), *(tuple(p.shape) for p in module.parameters(recurse=False)))
        for name, module in net.named_modules(remove_duplicate=False)
    ]


class GraphRunner(fx.Interpreter):
    """Interprets a graph of dotted targets on the live layers of a module.

    ``sizes``: values that are no tensors. ``leads``: first dimensions of tensors. ``masks``:
    tensors of truth values.
    """

    def __init__(self, net: nn.Module, graph: fx.Graph, constants: dict[str, Any]) -> None:
        super().__init__(net, garbage_collect_values=True, graph=graph)
        self._constants = constants
        self.sizes: dict[fx.Node, Any] = {}
        self.leads: dict[fx.Node, int] = {}
        self.masks: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        """Compute one node."""
        result = super().run_node(n)
        if not isinstance(result, torch.Tensor):
            self.sizes[n] = result
        elif result.ndim:
            self.leads[n] = int(result.shape[0])
            if result.dtype == torch.bool:
                self.masks.add(n)
        return result

    def fetch_attr(self, target: str) -> Any:
        """Look a tensor up in the constants, then in the module."""
        if target in self._constants:
            return self._constants[target]
        return super().fetch_attr(target)


def _outputs(net: nn.Module, name: str, example: torch.Tensor) -> Any:
    try:
        with eval_mode(net), torch.no_grad():
            return net(example.clone())
    except FORWARD_ERRORS as error:
        said = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise ExampleError(
            f"{name} does not run on an example of shape {tuple(example.shape)}: {said}.",
            hint="Give an example batch that the network accepts.",
            cause=error,
        ) from error


def _trace_both(net: nn.Module, example: torch.Tensor) -> Traced:
    whole: set[str] = set()
    leaves: set[type[nn.Module]] = set()
    for _ in range(_ATTEMPTS):
        try:
            graph, constants, features = _record(net, example, False, leaves, whole)
            training, more, _ = _record(net, example, True, leaves, whole)
        except BlockedError as error:
            if not error.scope or error.scope in whole:
                raise
            whole.add(error.scope)
            continue
        scope = first_difference(graph, training)
        if scope is None:
            return Traced(graph, None, constants, features, tuple(sorted(whole)))
        if not scope:
            renamed = {f"{key}__train": value for key, value in more.items()}
            for node in training.nodes:
                if node.op == "get_attr" and node.target in more:
                    node.target = f"{node.target}__train"
            return Traced(graph, training, constants | renamed, features, tuple(sorted(whole)))
        # a module that acts by its own mode keeps doing so when it stays one operation
        kind = original_class(net.get_submodule(scope))
        leaves.add(kind)
    raise BlockedError("", "too many modules cannot be looked into")


def _record(
    net: nn.Module,
    example: torch.Tensor,
    training: bool,
    leaves: set[type[nn.Module]],
    whole: set[str],
) -> tuple[fx.Graph, dict[str, Any], fx.Node | None]:
    seen: list[Any] = []
    tracer = Tracer(example, leaves=frozenset(leaves), whole=frozenset(whole))
    with unchanged(net), in_mode(net, training), watched(net, "forward_features", seen.append):
        graph, wrapper = tracer.record(net)
        assigned = assigned_buffer(net)
    if assigned is not None:
        raise BlockedError(assigned[0], f"it assigns its buffer {assigned[1]!r} anew")
    constants: dict[str, Any] = {}
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            target = str(node.target)
            if target.startswith(f"{ROOT}."):
                node.target = target.removeprefix(f"{ROOT}.")
            else:
                # tensors made while tracing hang on the wrapper
                constants[target] = getattr(wrapper, target)
    for node in reversed(graph.nodes):
        if not node.users and not is_effect(node):
            graph.erase_node(node)
    last = seen[-1] if seen else None
    features = last.node if isinstance(last, fx.Proxy) and last.node in graph.nodes else None
    return graph, constants, features


def is_effect(node: fx.Node) -> bool:
    """Whether a node matters although nobody uses its value."""
    if node.op in ("placeholder", "output"):
        return True
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if node.op == "call_module":
        return True
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name == "setitem" or node.kwargs.get("inplace") is True


def first_difference(one: fx.Graph, other: fx.Graph) -> str | None:
    """Return the innermost module in which two graphs part; None if they agree, "" for the root."""
    place_one = {node: i for i, node in enumerate(one.nodes)}
    place_other = {node: i for i, node in enumerate(other.nodes)}
    for a, b in zip(one.nodes, other.nodes, strict=False):
        if (a.op, a.target) != (b.op, b.target) or not (
            _same(a.args, b.args, place_one, place_other)
            and _same(a.kwargs, b.kwargs, place_one, place_other)
        ):
            return _common_scope(a, b)
    if len(place_one) != len(place_other):
        return ""
    return None


def _same(a: Any, b: Any, place_a: dict[fx.Node, int], place_b: dict[fx.Node, int]) -> bool:
    flat_a, spec_a = pytree.tree_flatten(fx.map_arg(a, lambda n: ("node", place_a[n])))
    flat_b, spec_b = pytree.tree_flatten(fx.map_arg(b, lambda n: ("node", place_b[n])))
    return spec_a == spec_b and all(
        type(x) is type(y) and repr(x) == repr(y) for x, y in zip(flat_a, flat_b, strict=True)
    )


def _common_scope(a: fx.Node, b: fx.Node) -> str:
    common = ""
    for one, other in zip(_stack(a), _stack(b), strict=False):
        if one != other:
            break
        common = one
    # a leaf that is called in one mode only differs in the module that calls it
    if a.op == "call_module" and common == a.target:
        return common.rpartition(".")[0]
    return common


def scopes_of(node: fx.Node) -> tuple[str, ...]:
    """Paths of the modules that were running, outermost first; a called leaf included."""
    found: dict[str, None] = {}
    for path in _stack(node):
        # a list of modules is never called itself, but people know it by its name
        for i, letter in enumerate(path):
            if letter == ".":
                found.setdefault(path[:i])
        found.setdefault(path)
    return tuple(found)


def _stack(node: fx.Node) -> list[str]:
    paths = [str(path) for path in node.meta.get("nn_module_stack") or {}]
    if node.op == "call_module":
        paths.append(str(node.target))
    # torch marks the second call of a shared module with @1 and so on
    plain = [_CALL.sub("", path) for path in paths]
    return [p.removeprefix(f"{ROOT}.") for p in plain if p not in ("", ROOT)]


def _difference(net: nn.Module, found: Traced, example: torch.Tensor, expected: Any) -> str:
    """Say how the graph's output differs from the network's; empty if it is equal bit for bit."""
    batches = [(example, expected)]
    try:
        with eval_mode(net), torch.no_grad():
            other = other_batch(example)
            batches.append((other, net(other.clone())))
    except FORWARD_ERRORS:
        # a network made for one batch size is cut for that one
        pass
    for batch, wanted in batches:
        try:
            with eval_mode(net), torch.no_grad():
                runner = GraphRunner(net, found.graph, found.constants)
                got = runner.run(batch.clone())
        except FORWARD_ERRORS as error:
            return next(iter(str(error).splitlines()), type(error).__name__)
        if not _equal(got, wanted):
            with eval_mode(net), torch.no_grad():
                again = net(batch.clone())
            if not _equal(again, wanted):
                return "the network itself gives other numbers each time"
            return f"for a batch of {len(batch)}"
        for node, value in runner.sizes.items():
            found.sizes[node] = (*found.sizes.get(node, ()), value)
        for node, lead in runner.leads.items():
            found.leads[node] = (*found.leads.get(node, ()), lead)
        found.masks.update(runner.masks)
    return ""


def _differs_in_training(net: nn.Module, found: Traced, example: torch.Tensor) -> bool:
    """Whether a graph of live layers acts otherwise than the network in train mode."""
    outputs = []
    batch = other_batch(example)
    for run in (net, GraphRunner(net, found.graph, found.constants).run):
        with in_mode(net, True), unchanged(net), torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)
            try:
                outputs.append(run(batch.clone()))
            except FORWARD_ERRORS:
                return True
    return not _equal(*outputs)


def other_batch(example: torch.Tensor) -> torch.Tensor:
    """One image more, and other pixels: shows what became a constant although it should not."""
    other = torch.cat([example, example[:1]]).flip(-1)
    return other * -1.7 if other.is_floating_point() else other


def _equal(a: Any, b: Any) -> bool:
    flat_a, flat_b = pytree.tree_leaves(a), pytree.tree_leaves(b)
    return len(flat_a) == len(flat_b) and all(
        torch.equal(x.nan_to_num(), y.nan_to_num())
        if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)
        else x == y
        for x, y in zip(flat_a, flat_b, strict=True)
    )


def _children_as_graph(net: nn.Module) -> Traced | None:
    """Chain the children in their order, plain containers opened; None if there are none."""
    graph = fx.Graph()
    value = graph.placeholder("x")
    count = 0
    for path, _ in _sequence(net, ""):
        value = graph.call_module(path, (value,))
        parents = [path[:i] for i, letter in enumerate(path) if letter == "."]
        value.meta["nn_module_stack"] = {parent: (parent, None) for parent in parents}
        count += 1
    graph.output(value)
    return Traced(graph, None, {}, None, how="children") if count > 1 else None


def _sequence(module: nn.Module, path: str) -> list[tuple[str, nn.Module]]:
    found = []
    for name, child in module.named_children():
        full = f"{path}.{name}" if path else name
        if original_class(child) in (nn.Sequential, nn.ModuleList):
            found += _sequence(child, full)
        else:
            found.append((full, child))
    return found


def _class_of(net: nn.Module, path: str) -> str:
    return type(net.get_submodule(path) if path else net).__name__
