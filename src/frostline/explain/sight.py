"""Activations at several cuts of a network with a classifier's weights, for pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.core.errors import EngineError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.core.preprocessing import UInt8Array

if TYPE_CHECKING:
    from frostline.backbones.heads.fitted_classifier import SingleFittedClassifier
    from frostline.onnx_graph.network_graph import NetworkGraph

Array = npt.NDArray[Any]
_LOGITS = "logits"


class Sight(ABC):
    """Runs prepared images through a network and tells what passes at some cuts."""

    @abstractmethod
    def maps(self, pixels: UInt8Array) -> Mapping[str, Array]:
        """Return activations by cut for prepared images (n, size, size, 3)."""


class OnnxSight(Sight):
    """As :class:`Sight`, by ONNX Runtime.

    ``network``: has a graph, and ``names`` are among its outputs. ``tensors``: those of a
    classifier by the network's names, instead of its own. ``threads``: of one run.

    Raises EngineError if ONNX Runtime cannot run it.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        names: Sequence[str],
        tensors: Mapping[str, Array] | None = None,
        *,
        threads: int = 1,
    ) -> None:
        self._names = list(names)
        model = graph_with(network, tensors or {}).maps(self._names, network.preprocessing)
        self._session = open_session(model, threads=threads)
        self._input: str = self._session.get_inputs()[0].name

    def maps(self, pixels: UInt8Array) -> Mapping[str, Array]:
        found = _run(self._session, self._names, {self._input: pixels})
        return dict(zip(self._names, found, strict=True))


def has_graph(network: FrozenNetwork, names: Iterable[str]) -> bool:
    """Whether the activations at all of some cuts can be had without PyTorch."""
    if network.graph_without_weights() is None:
        return False
    return {cut.name for cut in network.feature_cuts}.issuperset(names)


def onnx_logits(
    network: FrozenNetwork, classifier: SingleFittedClassifier, *, threads: int
) -> Callable[[Array], Array]:
    """Return what gives logits (n, n_classes) for normalised images (n, 3, size, size).

    ``classifier``: kept layers of the network, and a head on what passes at their cuts.
    """
    graph = graph_with(network, classifier.kept_tensors())
    weight, bias = classifier.head_weights()
    outputs, kernel = (_LOGITS, "features"), classifier.head_kernel()
    model = graph.head(
        classifier.cuts, weight, bias, outputs=outputs, source="image", kernel=kernel
    )
    session = open_session(model.SerializeToString(), threads=threads)

    def logits(images: Array) -> Array:
        return _run(session, [_LOGITS], {"image": images})[0]

    return logits


def graph_with(network: FrozenNetwork, tensors: Mapping[str, Array]) -> NetworkGraph:
    """Put a classifier's weights into its network's graph."""
    known = network.tensors()
    # a head on frozen features has the network's own, and to digest them takes a while
    changed = {
        name: value
        for name, value in tensors.items()
        if name in known and not np.array_equal(known[name], value)
    }
    graph = (network.with_tensors(changed) if changed else network).graph_without_weights()
    if graph is None:
        raise EngineError(f"There is no ONNX graph of {network.name}.")
    return graph


def _run(session: Any, names: Sequence[str], given: Mapping[str, Array]) -> list[Array]:
    try:
        found: list[Array] = session.run(list(names), dict(given))
    except failures() as error:
        raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
    return found
