"""Which layers lie between two steps of a network, and where its features end."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from typing import Any

from torch import fx, nn

from frostline.backbones.graph.cuts import TracedCut
from frostline.backbones.graph.ends import output_layers
from frostline.backbones.graph.measuring import Step
from frostline.backbones.graph.subgraphs import cut_out, matching_node
from frostline.backbones.graph.tracing import Traced, first_difference


def acts_by_mode(traced: Traced, node: fx.Node) -> bool:
    """Whether a module that a cut at ``node`` divides acts by its own mode before it."""
    if traced.training is None:
        return False
    other = matching_node(traced, node)
    if other is None:
        return True
    parts = (
        cut_out(graph, None, [end], sizes={}).graph
        for graph, end in ((traced.graph, node), (traced.training, other))
    )
    return first_difference(*parts) is not None


def count_parameters(net: nn.Module, constants: Container[str], names: Iterable[str]) -> int:
    """Number of different parameters behind some targets of the graph."""
    found: dict[int, int] = {}
    for name in names:
        if name in constants:
            continue
        value: Any = net
        for part in name.split("."):
            value = getattr(value, part)
        if isinstance(value, nn.Module):
            found |= {id(p): p.numel() for p in value.parameters()}
        elif isinstance(value, nn.Parameter):
            found[id(value)] = value.numel()
    return sum(found.values())


def parameter_counter(net: nn.Module, constants: Container[str]) -> Callable[[Iterable[str]], int]:
    """Return what counts the different parameters behind some targets of the graph."""
    return partial(count_parameters, net, constants)


def deepest_map(
    net: nn.Module, traced: Traced, cuts: Sequence[TracedCut], steps: Sequence[Step]
) -> TracedCut:
    """The deepest map before pooling: by ``forward_features``, else by its shape."""
    places = {step.node: i for i, step in enumerate(steps)}
    marked = traced.features
    if marked is not None and marked in places:
        reached = [c for c in cuts if places[c.node] <= places[marked]]
        if reached:
            return reached[-1]
    top = output_layers(net, traced.graph)
    above = {i for i, s in enumerate(steps) if any(_reads(s, name) for name in top)}
    maps = [c for c in cuts if c.is_map and places[c.node] < min(above, default=1e9)]
    return maps[-1] if maps else cuts[-1]


def _reads(step: Step, path: str) -> bool:
    return any(target == path or target.startswith(f"{path}.") for target in step.tensors)
