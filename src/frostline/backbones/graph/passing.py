"""Steps that give back what they get: they are no layers, and nothing ends with them."""

from __future__ import annotations

from timm.layers.drop import DropPath
from torch import fx, nn
from torchvision.ops import StochasticDepth

_DROPOUT = (nn.modules.dropout._DropoutNd, DropPath, StochasticDepth)
_FUNCTIONS = frozenset(("dropout", "dropout2d", "drop_path", "stochastic_depth"))


def passes_on(net: nn.Module, node: fx.Node, *, always: bool = False) -> bool:
    """Whether a step gives back what it gets: in eval mode, or always."""
    if node.op == "call_function":
        return not always and getattr(node.target, "__name__", "") in _FUNCTIONS
    return node.op == "call_module" and leaves_alone(
        net.get_submodule(str(node.target)), always=always
    )


def leaves_alone(layer: nn.Module, *, always: bool = False) -> bool:
    """Whether a layer gives back what it gets: in eval mode, or always.

    A container does if all that it holds does.
    """
    if isinstance(layer, nn.Identity) or (not always and isinstance(layer, _DROPOUT)):
        return True
    inner = list(layer.children())
    return (
        isinstance(layer, nn.Sequential)
        and bool(inner)
        and all(leaves_alone(one, always=always) for one in inner)
    )
