"""What reaches every BatchNorm of a frozen network, and what its layers were trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.layer_names import is_shortcut
from frostline.compute.engines.base import Engine
from frostline.compute.engines.frozen_part import part_key
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.moments import SourceNorm
from frostline.core.runtime import Runtime
from frostline.onnx_graph.network_graph import NetworkGraph

#: images of a call: maps that are not merged take three times the room
_BATCH = 4


@dataclass(frozen=True)
class NormInputs:
    """Which norm layers are looked at, and the key that stands for what they are given.

    ``norms``: by depth; empty for networks without BatchNorm.
    """

    norms: list[SourceNorm]
    key: str

    @property
    def width(self) -> int:
        """Number of columns: for every layer its C means, then its C mean squares."""
        return 2 * sum(len(norm.mean) for norm in self.norms)

    @property
    def names(self) -> list[str]:
        """Paths of the layers."""
        return [norm.name for norm in self.norms]


def norm_inputs(network: FrozenNetwork) -> NormInputs:
    """Find the BatchNorm layers on the main path of a network."""
    graph = network.graph_without_weights()
    if graph is None:
        from frostline.backbones.trainable import trainable
        from frostline.compute.engines.moments_module import MomentsBody

        norms = MomentsBody(trainable(network)).source_norms()
    else:
        norms = _source_norms(network, graph)
    return NormInputs(norms, part_key(network, "moments", [norm.name for norm in norms]))


def open_moments(network: FrozenNetwork, inputs: NormInputs, runtime: Runtime) -> Engine:
    """Open the engine that gives the moments of every image, with the layers not merged."""
    graph = network.graph_without_weights()
    if graph is None:
        from frostline.backbones.trainable import trainable
        from frostline.compute.engines.moments_module import MomentsBody, moments_part
        from frostline.compute.engines.torch_engine import TorchEngine

        loaded = trainable(network)
        part = moments_part(loaded, MomentsBody(loaded))
        return TorchEngine(part, threads=runtime.threads, device=runtime.device, precision="fp32")
    model = graph.moments(inputs.names, network.preprocessing)
    return OnnxEngine(model, threads=runtime.threads, batch=_BATCH)


def _source_norms(network: FrozenNetwork, graph: NetworkGraph) -> list[SourceNorm]:
    tensors = network.tensors()
    return [
        SourceNorm(
            name=norm.name,
            mean=tensors[f"{norm.name}.running_mean"].astype(np.float64),
            var=tensors[f"{norm.name}.running_var"].astype(np.float64),
            eps=norm.eps,
        )
        for norm in graph.norms
        if norm.of_maps and not is_shortcut(norm.name)
    ]
