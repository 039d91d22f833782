"""Find the layers at both ends of a traced network: what reads the image, what gives the logits."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from frostline.backbones.graph.measuring import moving_nodes
from frostline.backbones.graph.subgraphs import end_of


def input_layers(module: nn.Module, graph: fx.Graph) -> tuple[str, ...]:
    """Paths of the layers with weights that see the image before any other."""
    live = moving_nodes(graph)
    untouched: set[fx.Node] = set()
    found: dict[str, None] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            untouched.add(node)
        elif node in live and node.op != "output":
            owner = _weight_owner(module, node, live)
            raw = all(p in untouched for p in node.all_input_nodes if p in live)
            if raw and owner is not None:
                found[owner] = None
            elif raw:
                untouched.add(node)
    return tuple(found)


def output_layers(module: nn.Module, graph: fx.Graph) -> tuple[str, ...]:
    """Paths of the linear layers or 1x1 convolutions that no other layer with weights follows."""
    live = moving_nodes(graph)
    found: dict[str, None] = {}
    queue = list(end_of(graph).all_input_nodes)
    seen: set[fx.Node] = set()
    while queue:
        node = queue.pop()
        if node in seen or node not in live or node.op == "placeholder":
            continue
        seen.add(node)
        owner = _weight_owner(module, node, live)
        if owner is None:
            queue += node.all_input_nodes
        elif is_classifier(get_module(module, owner)):
            found[owner] = None
        else:
            return ()
    return tuple(found)


def _weight_owner(module: nn.Module, node: fx.Node, live: set[fx.Node]) -> str | None:
    """Path of the module whose weights a node uses; None if it uses none."""
    if node.op == "call_module":
        name = str(node.target)
        return name if any(True for _ in module.get_submodule(name).parameters()) else None
    queue = [n for n in node.all_input_nodes if n not in live]
    while queue:
        constant = queue.pop()
        if constant.op == "get_attr":
            value: Any = module
            for part in str(constant.target).split("."):
                value = getattr(value, part, None)
            if isinstance(value, nn.Parameter) and value.ndim > 1:
                return str(constant.target).rpartition(".")[0]
        queue += constant.all_input_nodes
    return None


def is_classifier(layer: nn.Module) -> bool:
    """Whether a layer can give logits."""
    if isinstance(layer, nn.Conv2d):
        return tuple(layer.kernel_size) == (1, 1) and layer.groups == 1
    return isinstance(layer, nn.Linear)


def get_module(module: nn.Module, path: str) -> nn.Module:
    """Return the module at ``path``; an Identity where there is none."""
    found: Any = module
    for part in path.split(".") if path else []:
        found = getattr(found, part, None)
    return found if isinstance(found, nn.Module) else nn.Identity()
