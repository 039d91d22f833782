"""The parts of a frozen network that engines run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.compute.cache.fact import GRAPHS, NETWORKS, digest_of
from frostline.core.cuts import tap_columns
from frostline.core.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

#: what a part gives that pools: its key tells how tokens are read
_TAPS = "taps"


@dataclass(frozen=True)
class Graph:
    """A part as ONNX that needs no PyTorch: uint8 images (n, size, size, 3) to one float tensor.

    ``model``: gives what engines run. ``reference``: gives the same with every layer as it was,
    which engines are checked against.
    """

    model: Callable[[], bytes]
    reference: Callable[[], bytes]


@dataclass(frozen=True)
class FrozenPart:
    """A part of a network that nobody will change while it is used.

    - ``module``: normalised float32 images (n, 3, size, size) to one float tensor (n, ...); None
      for a part that is a ``graph``.
    - ``key``: stands for the weights, the preprocessing and what the part computes.
    - ``blocks``: columns that are compared on their own when two engines are checked against each
      other; empty: the whole result is one block.
    - ``graph``: the part without PyTorch; None for one that has to be exported.
    - ``shape``: stands for its layers without their weights: parts of equal shape take equal time.
    - ``passing``: whether its weights are on their way, so that no later run asks for its export.
    """

    module: nn.Module | None
    preprocessing: Preprocessing
    key: str
    blocks: tuple[slice, ...] = ()
    graph: Graph | None = None
    shape: str = ""
    passing: bool = False

    @property
    def shape_key(self) -> str:
        """What stands for the time that the part takes; its own key where nobody knows more."""
        return self.shape or self.key


def part_key(network: FrozenNetwork, what: str, names: Sequence[str]) -> str:
    """Return what stands for a part's weights, its preprocessing and what it computes."""
    graph = network.graph_without_weights()
    # PyTorch's own numbers differ in their last digits
    drawn = [] if graph is None else [hashlib.sha256(graph.content).hexdigest()]
    read = [network.cut(name).tokens for name in names] if what == _TAPS else []
    told_apart = [read] if any(read) else []
    return digest_of(
        [network.weights_id, network.preprocessing, what, list(names), *drawn, *told_apart]
    )


def libraries_of(network: FrozenNetwork) -> tuple[str, ...]:
    """Return the libraries that its frozen results turn on: PyTorch runs no graph."""
    return NETWORKS if network.graph_without_weights() is None else GRAPHS


def taps_part(network: FrozenNetwork, taps: Sequence[str]) -> FrozenPart:
    """Return the part that gives the pooled activations at ``taps``, side by side."""
    cuts = sorted(map(network.cut, taps), key=lambda cut: cut.position)
    columns = tap_columns(cuts)
    names, preprocessing = list(columns), network.preprocessing
    key, blocks = part_key(network, _TAPS, names), tuple(columns.values())
    graph = network.graph_without_weights()
    if graph is None:
        from frostline.backbones.trainable import trainable

        loaded = trainable(network)
        shape = _shape(network, "taps", names, loaded.feature_module.state_dict())
        return FrozenPart(loaded.body(names), preprocessing, key, blocks, shape=shape)
    drawn = Graph(
        model=lambda: graph.taps(names, preprocessing),
        reference=lambda: graph.taps(names, preprocessing, folded=False),
    )
    shape = _shape(network, "drawn taps", names, network.tensors())
    return FrozenPart(None, preprocessing, key, blocks, drawn, shape)


def prefix_part(network: FrozenNetwork, cut: str, *, passing: bool = False) -> FrozenPart:
    """Return the part from the image to the activations at ``cut``, for training above it."""
    from frostline.backbones.trainable import trainable

    name = network.cut(cut).name
    loaded = trainable(network)
    key = part_key(loaded, "prefix", [name])
    shape = _shape(loaded, "prefix", [name], loaded.feature_module.state_dict())
    prefix = loaded.prefix(name)
    return FrozenPart(prefix, network.preprocessing, key, shape=shape, passing=passing)


def _shape(
    network: FrozenNetwork, what: str, names: Sequence[str], tensors: Mapping[str, Any]
) -> str:
    # kernels are chosen by the sizes of images and weights
    sizes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    return digest_of([network.name, network.preprocessing.size, what, list(names), sizes])
