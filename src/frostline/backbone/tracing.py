"""Trace a network's feature part into a graph, and measure every step of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers import get_notrace_functions, get_notrace_modules
from timm.layers.drop import DropBlock2d, DropPath
from timm.layers.norm_act import BatchNormAct2d, GroupNormAct, LayerNormAct
from torch import fx, nn

from frostline.errors import BackboneError

# these decide by `self.training` inside forward, so tracing through them would fix one mode
_MODE_DEPENDENT = (BatchNormAct2d, GroupNormAct, LayerNormAct, DropPath, DropBlock2d)

_ROOT = "net"


class _Features(nn.Module):
    """Calls ``forward_features`` with the image only, so that optional arguments stay None."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.net.forward_features(x)  # type: ignore[operator]
        return result


class _Tracer(fx.Tracer):
    def __init__(self) -> None:
        super().__init__(autowrap_functions=tuple(get_notrace_functions()))
        self._leaves = tuple(get_notrace_modules())

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, (*_MODE_DEPENDENT, *self._leaves)):
            return True
        return super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True)
class Step:
    """One node of the graph that depends on the image.

    Attributes
    ----------
    scopes : tuple of str
        Paths of the modules that were running, outermost first; the leaf itself included.
    shape : tuple of int or None
        Output shape without the batch; None when the output is not one tensor.
    macs, parameters : int
        Of this node alone, for one image.
    """

    node: fx.Node
    scopes: tuple[str, ...]
    shape: tuple[int, ...] | None
    macs: int
    parameters: int


def trace_features(net: nn.Module, name: str) -> fx.Graph:
    """Trace ``net.forward_features`` to a graph whose targets are the network's own names.

    Raises
    ------
    BackboneError
        If the network has no ``forward_features`` or cannot be traced; names the cause.
    """
    if not callable(getattr(net, "forward_features", None)):
        raise BackboneError(f"Backbone {name!r} has no forward_features, so it cannot be cut.")
    wrapper = _Features(net)
    try:
        graph = _Tracer().trace(wrapper)
    except (fx.proxy.TraceError, TypeError, RuntimeError, AttributeError, KeyError) as error:
        raise BackboneError(
            f"Backbone {name!r} cannot be traced: {str(error).splitlines()[0]}.",
            hint="Pick another backbone; 'frostline fit --help' shows the default.",
        ) from error
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            # tensors made while tracing hang on the wrapper; the network must own them
            if not node.target.startswith(_ROOT + "."):
                net.register_buffer(node.target, getattr(wrapper, node.target), persistent=False)
            node.target = node.target.removeprefix(_ROOT + ".")
    return graph


def assemble(root: nn.Module, graph: fx.Graph) -> fx.GraphModule:
    """Make a module of ``graph`` that shares the weights of ``root``, in eval mode.

    Tensors that ``root`` keeps out of its state dict stay out of the new one's.
    """
    saved = set(root.state_dict())
    module = fx.GraphModule(root, graph)
    for node in graph.nodes:
        if node.op == "get_attr" and node.target not in saved:
            owner = module.get_submodule(node.target.rpartition(".")[0])
            name = node.target.rpartition(".")[2]
            value = getattr(owner, name)
            delattr(owner, name)
            owner.register_buffer(name, value, persistent=False)
    return module.eval()


def depends_on_image(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes whose value changes with the image (constants and their kin do not)."""
    live: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or any(parent in live for parent in node.all_input_nodes):
            live.add(node)
    return live


def measure(module: fx.GraphModule, size: int) -> list[Step]:
    """Run one blank image through ``module`` and return its image-dependent steps in order."""
    meter = _Meter(module)
    with torch.no_grad():
        meter.run(torch.zeros(1, 3, size, size))
    live = depends_on_image(module.graph)
    return [
        Step(node, _scopes(node), *meter.found[node])
        for node in module.graph.nodes
        if node in live and node.op not in ("placeholder", "output")
    ]


def _scopes(node: fx.Node) -> tuple[str, ...]:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [str(path) for path in stack]
    if node.op == "call_module":
        paths.append(str(node.target))
    clean = [p.removeprefix(_ROOT + ".") for p in paths if p not in ("", _ROOT)]
    return tuple(dict.fromkeys(clean))


class _Meter(fx.Interpreter):
    """Records shape, multiply-accumulates and parameters of every node."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, tuple[tuple[int, ...] | None, int, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        macs = 0
        handles = []
        parameters = 0
        if n.op == "call_module":
            target = self.module.get_submodule(str(n.target))
            parameters = sum(p.numel() for p in target.parameters())

            def count(layer: nn.Module, _: Any, output: Any) -> None:
                nonlocal macs
                macs += _layer_macs(layer, output)

            for layer in target.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    handles.append(layer.register_forward_hook(count))
        result = super().run_node(n)
        for handle in handles:
            handle.remove()
        shape = tuple(result.shape[1:]) if isinstance(result, torch.Tensor) else None
        self.found[n] = (shape, macs, parameters)
        return result


def _layer_macs(layer: nn.Module, output: torch.Tensor) -> int:
    """Multiply-accumulates of one convolution or linear layer for one image."""
    per_image = output.numel() // output.shape[0]
    if isinstance(layer, nn.Conv2d):
        per_value = layer.in_channels // layer.groups * math.prod(layer.kernel_size)
    elif isinstance(layer, nn.Linear):
        per_value = layer.in_features
    else:
        return 0
    return int(per_image * per_value)
