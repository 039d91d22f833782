"""Activations at several cuts, by PyTorch: for networks that nobody has described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.func import functional_call

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.heads.classifier import SingleClassifier
from frostline.backbones.network import Network
from frostline.backbones.run_module import to_input
from frostline.backbones.trainable import trainable
from frostline.core.preprocessing import UInt8Array
from frostline.explain.sight import Array, Sight


class TorchSight(Sight):
    """As :class:`Sight`: the network's own graph, with the tensors of a trained classifier.

    So nothing is copied, and nothing of the network changes.

    ``tensors``: every one that the graph needs; None for the network's own.
    """

    def __init__(
        self,
        network: Network,
        names: Sequence[str],
        tensors: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        body = network.body(names)
        self._names, self._graph = list(body.slices), body.graph
        self._preprocessing = network.preprocessing
        own = body.graph.state_dict()
        self._tensors = own if tensors is None else {name: tensors[name] for name in own}

    def maps(self, pixels: UInt8Array) -> Mapping[str, Array]:
        images = to_input(pixels, self._preprocessing)
        with eval_mode(self._graph), torch.no_grad():
            found = functional_call(self._graph, self._tensors, (images,))
        return {name: one.float().numpy() for name, one in zip(self._names, found, strict=True)}


def torch_sight(
    network: FrozenNetwork, module: SingleClassifier, names: Sequence[str]
) -> TorchSight | None:
    """Put a classifier's weights into its network's graph; None where they do not belong to it."""
    own = trainable(network)
    trained = module.kept_layers.state_dict()
    if not set(own.body(names).graph.state_dict()) <= set(trained):
        return None
    return TorchSight(own, names, trained)
