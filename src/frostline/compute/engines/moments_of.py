"""What reaches the norm layers of a frozen network, and what some of them were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frostline.backbones.frozen_network import Array, FrozenNetwork
from frostline.backbones.layer_names import is_shortcut
from frostline.compute.engines.base import Engine
from frostline.compute.engines.frozen_part import part_key
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.moments import SourceNorm, SourceStatistics
from frostline.core.runtime import Runtime
from frostline.onnx_graph.norm_points import NormPoint

#: images of a call: maps that are not merged take three times the room
_BATCH = 4
_THIRDS = 3


@dataclass(frozen=True)
class NormInputs:
    """Which norm layers are looked at, and the key that stands for what they are given.

    ``norms``: by depth; empty for networks without norm layers.
    """

    norms: list[SourceNorm]
    key: str

    @property
    def stored(self) -> bool:
        """Whether the layers know the statistics of pretraining."""
        return any(norm.stored is not None for norm in self.norms)

    @property
    def width(self) -> int:
        """Number of columns: for every layer its C means, then its C mean squares."""
        return 2 * sum(norm.channels for norm in self.norms)

    @property
    def names(self) -> list[str]:
        """Paths of the layers."""
        return [norm.name for norm in self.norms]


def norm_inputs(network: FrozenNetwork) -> NormInputs:
    """Find the norm layers on the main path of a network that tell most.

    Those that stored statistics of pretraining, if they lie in every third of the work; otherwise
    all, of whatever kind, without statistics.
    """
    graph = network.graph_without_weights()
    if graph is None:
        from frostline.backbones.trainable import trainable

        points = [x.point for x in trainable(network).norm_inputs()]
    else:
        points = graph.norm_points
    tensors = network.tensors()
    norms = _chosen(
        [_with_statistics(point, tensors) for point in points if not _is_beside(point, tensors)]
    )
    return NormInputs(norms, part_key(network, "moments", [norm.name for norm in norms]))


def open_moments(network: FrozenNetwork, inputs: NormInputs, runtime: Runtime) -> Engine:
    """Open the engine that gives the moments of every image, with the layers not merged."""
    graph = network.graph_without_weights()
    if graph is None:
        from frostline.backbones.trainable import trainable
        from frostline.compute.engines.moments_module import MomentsBody, moments_part
        from frostline.compute.engines.torch_engine import TorchEngine

        loaded = trainable(network)
        part = moments_part(loaded, MomentsBody(loaded, inputs.names))
        return TorchEngine(part, threads=runtime.threads, device=runtime.device, precision="fp32")
    model = graph.moments(inputs.names, network.preprocessing)
    return OnnxEngine(model, threads=runtime.threads, batch=_BATCH)


def _is_beside(point: NormPoint, tensors: Mapping[str, Array]) -> bool:
    # of other norm layers some lie on the main path between stages, and are called so too
    return is_shortcut(point.name) and _mean_of(point.name) in tensors


def _mean_of(name: str) -> str:
    return f"{name}.running_mean"


def _with_statistics(point: NormPoint, tensors: Mapping[str, Array]) -> SourceNorm:
    stored = None
    if _mean_of(point.name) in tensors:
        mean, var = tensors[_mean_of(point.name)], tensors[f"{point.name}.running_var"]
        stored = SourceStatistics(mean.astype(np.float64), var.astype(np.float64))
    return SourceNorm(point.name, point.channels, point.eps, stored, point.depth)


def _chosen(norms: Sequence[SourceNorm]) -> list[SourceNorm]:
    stored = [norm for norm in norms if norm.stored is not None]
    if len(stored) == len(norms):
        return stored
    depths = [norm.depth for norm in stored if norm.depth is not None]
    thirds = {min(int(_THIRDS * depth), _THIRDS - 1) for depth in depths}
    if len(thirds) == _THIRDS:
        return stored
    return [SourceNorm(norm.name, norm.channels, norm.eps, None, norm.depth) for norm in norms]
