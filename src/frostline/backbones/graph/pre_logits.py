"""Find what a network's own classifier reads: one vector, pooled as it was trained to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from frostline.backbones.graph.ends import output_layers
from frostline.backbones.graph.measuring import Step
from frostline.backbones.graph.passing import passes_on
from frostline.backbones.graph.subgraphs import end_of


def pre_logits(net: nn.Module, graph: fx.Graph, steps: Sequence[Step]) -> fx.Node | None:
    """Return what gives the vector (n, D) that the classifier reads; None where there is no one.

    That is what ``forward_head(pre_logits=True)`` of timm returns. A network without a classifier
    ends with it.
    """
    places = {step.node: i for i, step in enumerate(steps)}
    paths = _classifiers(net, graph)
    if paths:
        inputs = {_input_of(path, steps, places) for path in paths}
    else:
        inputs = {node for node in end_of(graph).all_input_nodes if node in places}
    if len(inputs) != 1:
        return None
    node = inputs.pop()
    while node is not None and passes_on(net, node):
        node = next((parent for parent in node.all_input_nodes if parent in places), None)
    if node is None:
        return None
    shape = steps[places[node]].shape
    return node if shape is not None and len(shape) == 1 else None


def _classifiers(net: nn.Module, graph: fx.Graph) -> list[str]:
    """Paths of the layers that give the logits; none where the network has no classifier."""
    known: Any = getattr(net, "get_classifier", None)
    if not callable(known):
        return list(output_layers(net, graph))
    try:
        said = known()
    except (TypeError, AttributeError, NotImplementedError):
        # of a network that only half follows timm
        return list(output_layers(net, graph))
    wanted = said if isinstance(said, tuple | list) else (said,)
    wanted = [layer for layer in wanted if isinstance(layer, nn.Module)]
    names = {id(layer): path for path, layer in net.named_modules()}
    return [
        names[id(layer)]
        for layer in wanted
        if id(layer) in names and any(True for _ in layer.parameters())
    ]


def _input_of(path: str, steps: Sequence[Step], places: dict[fx.Node, int]) -> fx.Node | None:
    """Return the one value that the steps of a module read from before it."""
    inside = {step.node for step in steps if path in step.scopes}
    read = {
        parent
        for node in inside
        for parent in node.all_input_nodes
        if parent in places and parent not in inside
    }
    return read.pop() if len(read) == 1 else None
