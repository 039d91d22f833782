"""What every norm layer of a traced network reads, and its moments as nodes of the graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from frostline.backbones.freeze.eval_mode import original_class
from frostline.backbones.graph.measuring import Step
from frostline.backbones.layer_kinds import has_statistics, is_norm
from frostline.backbones.layer_names import is_shortcut
from frostline.onnx_graph.norm_points import NormPoint

#: operations that move values and change none
_VIEWS = frozenset(
    """flatten reshape view permute transpose contiguous unsqueeze squeeze getitem unbind chunk
    split""".split()  # noqa: SIM905
)
_LINEAR_NAMES = frozenset(("conv1d", "conv2d", "conv3d", "linear"))
_LINEAR = (nn.modules.conv._ConvNd, nn.Linear)
# where the number of channels stands, by the classes of PyTorch and timm
_CHANNELS = ("num_features", "num_channels")
# of layers that do not say theirs, as PyTorch's
_EPS = 1e-5


@dataclass(frozen=True)
class NormInput:
    """A norm layer and the node that it reads.

    - ``axis``: where the channels lie, 1 or -1.
    - ``prefix``: tokens in front that stand for no place of the image, and do not count.
    """

    point: NormPoint
    node: fx.Node
    axis: int
    prefix: int


def find_norm_inputs(
    net: nn.Module, steps: Sequence[Step], *, prefix_tokens: int = 0
) -> list[NormInput]:
    """Return the norm layers on the main path of some steps, in the order in which they run.

    Branches that read one input, directly or through a convolution of their own, count once, with
    the first of them: what reaches the others is the same shift again (RepVGG, MobileOne). So do
    layers that run twice. BatchNorm on shortcuts is left out.

    ``prefix_tokens``: class token and registers of the network.
    """
    norms = {path: layer for path, layer in net.named_modules() if _is_norm_layer(layer)}
    known = {step.node: step for step in steps}
    found: dict[str, NormInput] = {}
    shared: set[fx.Node] = set()
    before: dict[fx.Node, int] = {}
    done, work = 0, max(1, sum(step.macs for step in steps))
    for step in steps:
        done += step.macs
        before[step.node] = done
        path = next((scope for scope in step.scopes if scope in norms), None)
        if path is None or path in found:
            continue
        layer = norms[path]
        node = _outside(step.node, path, known)
        channels = _channels(layer)
        beside = has_statistics(layer) and is_shortcut(path)
        if node is None or channels is None or beside:
            continue
        shape = known[node].shape
        axis = _axis(layer, channels, shape)
        origin = _origin(net, node)
        # one vector an image has no spread of its own to compare with that of pictures
        single = shape is not None and math.prod(shape) == channels
        pooled = single and not has_statistics(layer)
        if axis is None or pooled or origin in shared:
            continue
        shared.add(origin)
        tokens = shape is not None and len(shape) == 2 and axis == -1 and shape[0] > prefix_tokens
        eps = float(getattr(layer, "eps", None) or _EPS)
        point = NormPoint(path, channels, eps, before[node] / work)
        found[path] = NormInput(point, node, axis, prefix_tokens if tokens else 0)
    return list(found.values())


def channel_moments(
    value: torch.Tensor, images: torch.Tensor, axis: int, channels: int, prefix: int
) -> torch.Tensor:
    """Return means, then mean squares, of every channel over all places of an image: (n, 2C).

    ``value``: of n images, whose windows or tokens may be more rows of the batch, image by image.
    ``images``: the n images. ``axis``: where the channels lie. ``prefix``: tokens left out.
    """
    n = images.shape[0]
    if axis == 1:
        # (n, windows, C, places)
        placed = value.reshape(n, -1, channels, value[0, 0].numel())
        return torch.cat([placed.mean((1, 3)), placed.square().mean((1, 3))], dim=1)
    placed = value.reshape(n, -1, channels)[:, prefix:]
    return torch.cat([placed.mean(1), placed.square().mean(1)], dim=1)


def with_moments(
    graph: fx.Graph, ends: Sequence[fx.Node], inputs: Sequence[NormInput]
) -> tuple[fx.Graph, list[fx.Node]]:
    """Return a copy of a graph that also takes moments, and the nodes of the ends and of these.

    Each is taken as soon as its input is known, so that no map is kept, or overwritten, meanwhile.
    """
    copied: dict[fx.Node, fx.Node] = {}
    whole = fx.Graph()
    whole.output(whole.graph_copy(graph, copied))
    images = next(node for node in whole.nodes if node.op == "placeholder")
    taken = []
    for one in inputs:
        value = copied[one.node]
        with whole.inserting_after(value):
            arguments = (value, images, one.axis, one.point.channels, one.prefix)
            taken.append(whole.call_function(channel_moments, arguments))
    return whole, [*(copied[end] for end in ends), *taken]


def _is_norm_layer(layer: nn.Module) -> bool:
    """Whether a layer normalises by itself; blocks with a convolution are called so too."""
    inside = any(p is not None for child in layer.children() for p in child.parameters())
    return is_norm(layer) and not inside


def _outside(node: fx.Node, path: str, known: dict[fx.Node, Step]) -> fx.Node | None:
    """Return what a layer reads, from the first of its nodes."""
    for parent in node.all_input_nodes:
        step = known.get(parent)
        if step is not None and path not in step.scopes:
            return parent
    return None


def _channels(layer: nn.Module) -> int | None:
    for name in _CHANNELS:
        if isinstance(getattr(layer, name, None), int):
            return int(getattr(layer, name))
    shape: Any = getattr(layer, "normalized_shape", None)
    if shape is not None and len(shape) == 1:
        return int(shape[0])
    weight = getattr(layer, "weight", None)
    return weight.numel() if isinstance(weight, torch.Tensor) else None


def _axis(layer: nn.Module, channels: int, shape: tuple[int, ...] | None) -> int | None:
    """Say where the channels lie; None where no side of the input has as many."""
    first = isinstance(layer, nn.modules.batchnorm._NormBase | nn.GroupNorm)
    likely = 1 if first or original_class(layer).__name__.lower().endswith("2d") else -1
    if shape is None:
        return likely
    sides = {1: shape[0], -1: shape[-1]} if shape else {}
    return next((axis for axis in (likely, -likely) if sides.get(axis) == channels), None)


def _origin(net: nn.Module, node: fx.Node) -> fx.Node:
    """Return what a norm layer's input was made of: what a convolution before it reads, or it."""
    node = _unmoved(node)
    if _is_linear(net, node):
        return _unmoved(node.all_input_nodes[0])
    return node


def _unmoved(node: fx.Node) -> fx.Node:
    while _name(node) in _VIEWS and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return node


def _is_linear(net: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(net.get_submodule(str(node.target)), _LINEAR)
    return _name(node) in _LINEAR_NAMES and bool(node.all_input_nodes)


def _name(node: fx.Node) -> str:
    if node.op == "call_module":
        return ""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
