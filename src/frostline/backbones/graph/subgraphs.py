"""Parts of a network as modules of their own: shared layers, the network's own names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from frostline.backbones.graph.measuring import PerImage, Size, moving_nodes
from frostline.backbones.graph.tracing import Traced, is_effect, scopes_of
from frostline.core.errors import CutError


class Subgraph(nn.Module):
    """A stretch of a network between two places where one tensor passes.

    Layers are shared with the network, so training the part trains the network. Modules that lie
    wholly inside are the network's own objects; those that straddle a cut appear as plain
    containers of what lies inside. Parameter names are the network's own.

    A part whose parameters are all frozen takes the network's graph of eval mode, whatever
    ``train()`` says; its layers are held there by :func:`frostline.freeze`.
    """

    def __init__(
        self,
        net: nn.Module,
        graphs: tuple[fx.Graph, fx.Graph | None],
        constants: dict[str, Any],
        *,
        elsewhere: Iterable[str],
        rest: bool,
        expects: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.__dict__["_expects"] = expects
        used = {t for graph in graphs if graph is not None for t in targets(graph)}
        _attach(self, net, "", used - set(constants), set(elsewhere), rest=rest)
        for name in sorted(used & set(constants)):
            value = constants[name]
            if isinstance(value, torch.Tensor):
                self.register_buffer(name, value, persistent=False)
            else:
                setattr(self, name, value)
        evaluated, trained = graphs
        # plain functions: a deep copy keeps the classes and the sharing of all layers
        self.__dict__["_evaluated"] = _compiled(evaluated)
        self.__dict__["_trained"] = _compiled(trained) if trained is not None else None
        _adopt_modes(self, net)

    def forward(self, x: torch.Tensor) -> Any:
        """Run the stretch; what passes at its end."""
        expects: tuple[int, ...] | None = self.__dict__["_expects"]
        if expects is not None and tuple(x.shape[1:]) != expects:
            raise CutError(
                f"This part was cut for activations of shape {expects}, not {tuple(x.shape[1:])}: "
                "behind the cut the network uses the size of the image.",
                hint="Load the network with an example of the size that you use.",
            )
        trained: Callable[..., Any] | None = self.__dict__["_trained"]
        if trained is not None and self.training and _anything_trains(self):
            return trained(self, x)
        return self.__dict__["_evaluated"](self, x)


class Holder(nn.Module):
    """Holds the layers of a module that lie in one part."""


@dataclass(frozen=True)
class GraphSection:
    """A piece of a graph; ``fixed`` if it has numbers that follow from the image's size."""

    graph: fx.Graph
    fixed: bool


def cut_out(
    graph: fx.Graph,
    start: fx.Node | None,
    ends: Sequence[fx.Node],
    *,
    sizes: Mapping[str, Size],
    as_tuple: bool = False,
    overwritten: Container[str] = frozenset(),
) -> GraphSection:
    """Copy the nodes that ``ends`` need, from the image or from the value of ``start``.

    Raises CutError if the part still reads the image, or values from before ``start``.

    ``sizes``: sizes by node name that a part can find again when they come from before its start.
    ``as_tuple``: return a tuple even for one end. ``overwritten``: names of nodes whose values
    later operations write into: inputs and ends among them are copied first.
    """
    live = moving_nodes(graph, sizes)
    place = {node: i for i, node in enumerate(graph.nodes)}
    first = -1 if start is None else place[start]
    last = max(place[node] for node in ends)
    needed: set[fx.Node] = set()
    queue = list(ends)
    for node in graph.nodes:
        # operations that write in place belong to the part although nobody uses their result
        if not node.users and is_effect(node) and node.op not in ("placeholder", "output"):
            inside = node in live and first < place[node] <= last
            if inside:
                queue.append(node)
    again: set[fx.Node] = set()
    while queue:
        node = queue.pop()
        if node in needed:
            continue
        needed.add(node)
        # the size of something from before the start, which the part never sees
        hidden = any(p in live and place[p] < first for p in node.all_input_nodes)
        if node.name in sizes and hidden:
            again.add(node)
        elif node is not start:
            queue += node.all_input_nodes
    part = fx.Graph()
    kept: dict[fx.Node, fx.Node | None] = dict.fromkeys(ends)
    copies: dict[fx.Node, Any] = {}
    if start is not None:
        value = part.placeholder("x")
        spoilt = start.name in overwritten
        copies[start] = part.call_method("clone", (value,)) if spoilt else value
    for node in graph.nodes:
        if node not in needed or node is start:
            continue
        if node in again:
            copies[node] = _again(part, copies[start], sizes[node.name].value)  # type: ignore[index]
            continue
        if start is not None and node in live and place[node] <= first:
            raise CutError("The part after this cut still reads something from before it.")
        copies[node] = part.node_copy(node, lambda n: copies[n])
        if node in kept and node.name in overwritten and node is not ends[-1]:
            kept[node] = part.call_method("clone", (copies[node],))
    outputs = tuple(kept[node] or copies[node] for node in ends)
    part.output(outputs if as_tuple or len(outputs) > 1 else outputs[0])
    part.lint()
    fixed = any(_has_number(sizes[node.name].value) for node in again)
    return GraphSection(part, fixed)


def _has_number(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_has_number(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _again(part: fx.Graph, x: fx.Node, value: Any) -> Any:
    """Find a size again from the number of images that enter the part."""
    if isinstance(value, PerImage):
        count = part.call_method("size", (x, 0))
        if value.times == 1:
            return count
        return part.call_function(operator.mul, (count, value.times))
    if isinstance(value, tuple | list):
        return type(value)(_again(part, x, item) for item in value)
    return value


def end_of(graph: fx.Graph) -> fx.Node:
    """Return the output node of a graph."""
    last: fx.Node = next(iter(reversed(graph.nodes)))
    return last


def to_the_end(
    graph: fx.Graph, start: fx.Node, *, sizes: Mapping[str, Size], overwritten: Container[str]
) -> GraphSection:
    """Copy everything from the value of ``start`` to what the network returns."""
    output = end_of(graph)
    inputs = output.all_input_nodes
    stretch = cut_out(graph, start, inputs, sizes=sizes, as_tuple=True, overwritten=overwritten)
    part = stretch.graph
    final = end_of(part)
    returned = dict(zip(inputs, final.args[0], strict=True))  # type: ignore[arg-type]
    structure = fx.map_arg(output.args[0], lambda n: returned[n])
    part.erase_node(final)
    part.output(structure)
    part.lint()
    return stretch


def targets(graph: fx.Graph) -> set[str]:
    """Return the modules and tensors that a graph reads."""
    return {str(n.target) for n in graph.nodes if n.op in ("call_module", "get_attr")}


def matching_node(traced: Traced, node: fx.Node) -> fx.Node | None:
    """Find the node of the train-mode graph that stands for ``node`` of the eval-mode graph.

    It is the same operation of the same module, counted from its start; where the two graphs do
    not have equally many of them, nobody can tell.
    """
    if traced.training is None:
        return node
    mine = [n for n in traced.graph.nodes if _role(n) == _role(node)]
    theirs = [n for n in traced.training.nodes if _role(n) == _role(node)]
    return theirs[mine.index(node)] if len(mine) == len(theirs) else None


def _role(node: fx.Node) -> tuple[str, str, tuple[str, ...]]:
    return node.op, str(node.target), scopes_of(node)


def _attach(
    holder: nn.Module,
    source: nn.Module,
    path: str,
    used: set[str],
    elsewhere: set[str],
    *,
    rest: bool,
) -> None:
    """Give ``holder`` what is used of ``source``: whole modules where nobody else needs a part."""
    for name, child in source._modules.items():
        if child is None:
            continue
        full = f"{path}.{name}" if path else name
        inside, outside = _touches(used, full), _touches(elsewhere, full)
        unused = rest and not outside and bool(child.state_dict())
        if full in used or ((inside or unused) and not outside):
            holder.add_module(name, child)
        elif inside:
            part = Holder()
            _attach(part, child, full, used, elsewhere, rest=rest)
            holder.add_module(name, part)
    for name, parameter in source._parameters.items():
        full = f"{path}.{name}" if path else name
        if full in used or (rest and full not in elsewhere):
            holder.register_parameter(name, parameter)
    for name, buffer in source._buffers.items():
        full = f"{path}.{name}" if path else name
        if full in used or (rest and full not in elsewhere):
            persistent = name not in source._non_persistent_buffers_set
            holder.register_buffer(name, buffer, persistent=persistent)
    for full in used:
        owner, _, name = full.rpartition(".")
        if owner == path and not hasattr(holder, name):
            # a plain tensor attribute, such as an index that nobody registered
            setattr(holder, name, getattr(source, name))


def _touches(targets: set[str], path: str) -> bool:
    below = f"{path}."
    return path in targets or any(target.startswith(below) for target in targets)


def _adopt_modes(part: nn.Module, net: nn.Module) -> None:
    """Give containers the mode of what they stand for, without touching shared layers."""
    part.training = net.training
    for name, child in part._modules.items():
        if isinstance(child, Holder):
            _adopt_modes(child, net.get_submodule(name))


def _anything_trains(part: nn.Module) -> bool:
    return any(p.requires_grad for p in part.parameters()) or not any(
        True for _ in part.parameters()
    )


def _compiled(graph: fx.Graph) -> Callable[..., Any]:
    """Compile a graph to a function of the part and its input."""
    code = graph.python_code(root_module="self")
    # the registered loader lets tracebacks and inspection show the source
    forward: Callable[..., Any] = fx.graph_module._forward_from_src(
        code.src, dict(code.globals), getattr(code, "co_fields", None)
    )
    return forward
