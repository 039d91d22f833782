"""A pretrained network without PyTorch: description, graph, and the tensors of a weights file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline.backbones.description import NetworkDescription, imagenet_classes, shipped
from frostline.backbones.frozen_network import Array, FrozenNetwork
from frostline.backbones.heads.source_classifier import SourceClassifier
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.tensor_archive import read_tensors
from frostline.backbones.tensor_digests import fingerprint_of
from frostline.core.cuts import Cut, find_cut, no_cut
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing

if TYPE_CHECKING:
    from frostline.onnx_graph.network_graph import NetworkGraph


@dataclass(frozen=True)
class Origin:
    """How a network is asked for, so that PyTorch can load it again.

    ``name``: as for :meth:`Network.load`. ``weights``: an own file of weights. ``size``: side of
    square images; None is the network's own.
    """

    name: str
    weights: Path | None = None
    size: int | None = None


class DescribedNetwork(FrozenNetwork):
    """A frozen network that is known by its description; see :class:`FrozenNetwork`.

    Parameters
    ----------
    description : NetworkDescription
    graph : bytes
        ONNX without weights, an output for each cut up to the last.
    state : mapping of str to ndarray
        The state dict by the network's own names: the layers up to the last cut, and the old
        classifier if it is known.
    origin : Origin or None, default=None
        What PyTorch loads once something must train; None is the name alone.

    Attributes
    ----------
    origin : Origin
    """

    def __init__(
        self,
        description: NetworkDescription,
        graph: bytes,
        state: Mapping[str, Array],
        origin: Origin | None = None,
    ) -> None:
        self._description, self._onnx = description, graph
        self._state = dict(state)
        self.origin = origin or Origin(description.name)
        self.name, self.licence = description.name, description.licence
        self.notes, self.taps = description.notes, description.taps
        self.preprocessing = description.preprocessing
        self.cuts: tuple[Cut, ...] = description.cuts
        self.last = self.cut(description.last)
        self.last_map = self.cut(description.last_map) if description.last_map else self.last
        self.pooling, self.family = description.pooling, description.family
        self.macs = self.last.macs_before
        self.weights_id = fingerprint_of(self.tensors())

    def cut(self, name: str) -> Cut:
        """Return the cut called ``name`` (or one of its aliases), wherever it lies.

        Raises
        ------
        CutError
            Lists the cuts that exist.
        """
        found = find_cut(name, (*self.cuts, *self.all_cuts))
        if found is None:
            raise no_cut(name, self.cuts, where=self.name, inner=self.all_cuts)
        return found

    @property
    def all_cuts(self) -> tuple[Cut, ...]:
        """Every place where one tensor passes, inside of blocks too."""
        return self._description.inner_cuts

    def scopes(self) -> Sequence[Sequence[str]]:
        """Paths of the modules that each step of the network lies in, the outermost first."""
        return self._description.scopes

    def stages(self) -> Sequence[str]:
        """Names of the stages."""
        return self._description.stages

    def all_norm_layers(self) -> Sequence[str]:
        """Names of all norm layers with weights."""
        return self._description.norms

    def tensor_names(self) -> Sequence[str]:
        """Names of the parameters and buffers of the layers up to ``last``."""
        return self._description.features

    def source_classifier(self) -> SourceClassifier | None:
        """Return the old task's classifier, where it is linear in the pooled mean."""
        path = self._description.classifier
        if path is None:
            return None
        weight = self._state[f"{path}.weight"].astype(np.float64).T.copy()
        bias = self._state.get(f"{path}.bias", np.zeros(weight.shape[1]))
        start = self._description.classifier_from
        return SourceClassifier(weight, bias.astype(np.float64), imagenet_classes(), start)

    def first_filters(self) -> str | None:
        """Name the weight of the convolution that reads the image, if that is the first layer."""
        return self._description.filters

    def tensors(self) -> Mapping[str, Array]:
        """Return parameters and buffers of the layers up to ``last``, by name."""
        return {name: self._state[name] for name in self._description.features}

    def graph_without_weights(self) -> NetworkGraph:
        """Return the ONNX graph of the layers up to ``last``."""
        return self._graph

    @cached_property
    def _graph(self) -> NetworkGraph:
        # images are listed before anybody wants a graph
        from frostline.onnx_graph.network_graph import NetworkGraph

        return NetworkGraph(self._onnx, self.tensors(), self.feature_cuts)

    def with_tensors(self, tensors: Mapping[str, Array]) -> DescribedNetwork:
        """Return an independent copy with other values of some tensors up to ``last``."""
        state = {**self._state, **self._fitting(tensors)}
        changed = DescribedNetwork(self._description, self._onnx, state, self.origin)
        changed.preprocessing = self.preprocessing
        return changed

    def trained_further(
        self,
        tensors: Mapping[str, Array],
        *,
        last: str,
        preprocessing: Preprocessing,
        licence: str,
        notes: tuple[str, ...],
        origin: Origin,
    ) -> DescribedNetwork:
        """Return the network that ends at the cut ``last``, with what a training left of it.

        ``tensors``: all up to there, by name. The old classifier is gone.
        """
        end = self.cut(last)
        cuts = self.cuts[: end.index + 1]
        description = replace(
            self._description,
            cuts=cuts,
            last=end.name,
            taps=(*(tap for tap in self.taps if self.cut(tap).position < end.position), end.name),
            features=tuple(name for name in self._description.features if name in tensors),
            classifier=None,
            preprocessing=preprocessing,
            licence=licence,
            notes=notes,
        )
        return DescribedNetwork(description, self._onnx, tensors, origin)


def described(name: str) -> DescribedNetwork:
    """Return a bundled network by its name.

    Raises
    ------
    BackboneError
        If its weights are not installed, or are not those that its description was made of.
    """
    description, graph = shipped(name)
    path = BUNDLED[name].weights_file()
    found = read_tensors(path)
    state = in_order(found, description.shapes, what=str(path))
    network = DescribedNetwork(description, graph, state)
    if network.weights_id != description.weights_id:
        raise BackboneError(f"{path} has other weights than {name!r} was described with.")
    return network


def in_order(
    found: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], *, what: str
) -> dict[str, Array]:
    """Name tensors as a network does, for weights whose names differ but whose order is equal.

    Raises
    ------
    BackboneError
        If the number of tensors or a shape differs.
    """
    if len(found) != len(shapes):
        raise BackboneError(f"{what} has {len(found)} tensors, the network {len(shapes)}.")
    for (foreign, value), (name, shape) in zip(found.items(), shapes.items(), strict=True):
        if value.shape != tuple(shape):
            raise BackboneError(
                f"{what}: {foreign} has shape {value.shape}, but {name} needs {tuple(shape)}."
            )
    return dict(zip(shapes, found.values(), strict=True))
