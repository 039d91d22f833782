"""What frozen features need of a pretrained network: names and cuts, weights, and a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frostline.backbones.families import Family
from frostline.backbones.heads.source_classifier import SourceClassifier
from frostline.backbones.layer_names import among, layers_between
from frostline.backbones.tensor_digests import fingerprint_of
from frostline.core.cuts import Cut, NetworkSummary, Part
from frostline.core.errors import BackboneError
from frostline.core.preprocessing import Preprocessing
from frostline.core.reading_rules import ReadingRules

if TYPE_CHECKING:
    from frostline.onnx_graph.network_graph import NetworkGraph

Array = npt.NDArray[Any]
#: mean and unbiased variance of what reaches each norm layer, by the layer's path
Statistics = Mapping[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


class FrozenNetwork(ABC):
    """A pretrained network that nobody trains: images go in, features come out.

    A :class:`~frostline.backbones.described.DescribedNetwork` does it without PyTorch; the
    :class:`~frostline.backbones.network.Network` of PyTorch can do it as well.

    Attributes
    ----------
    name, licence : str
    preprocessing : Preprocessing
        What belongs to the weights.
    cuts : sequence of Cut
        Ends of stages and blocks where one tensor passes, by depth; the output is none.
    last : Cut
        The deepest that a new head can sit on: what the old classifier read, or the feature map
        whose pooled mean that was.
    last_map : Cut
        The deepest feature map: everything above it is pooling and the old classifier.
    taps : tuple of str
        At most 10 cuts at stage ends up to ``last``, by depth; ``last_map`` and ``last`` are always
        among them.
    pooling : tuple of {"class", "mean", "spread"}
        What tokens are read as; empty for networks that are read everywhere as mean and spread of
        all that passes.
    family : Family
        How networks of its kind were trained.
    macs : int
        Multiply-accumulates up to ``last`` for one image.
    weights_id : str
        SHA-256 of the weights up to ``last``.
    notes : tuple of str
        What a person should know about how the network was read.
    pretraining_size : int or None
        Side of the images that the weights were trained on, in pixels, where others were chosen
        that nobody asked for; None elsewhere.
    """

    name: str
    licence: str
    preprocessing: Preprocessing
    cuts: Sequence[Cut]
    last: Cut
    last_map: Cut
    taps: tuple[str, ...]
    pooling: tuple[Part, ...]
    family: Family
    macs: int
    weights_id: str
    notes: tuple[str, ...]
    pretraining_size: int | None = None

    @abstractmethod
    def cut(self, name: str) -> Cut:
        """Return the cut called ``name`` (or one of its aliases), wherever it lies.

        Raises
        ------
        CutError
            Lists the cuts that exist.
        """

    @property
    @abstractmethod
    def all_cuts(self) -> Sequence[Cut]:
        """Every place where one tensor passes, inside of blocks too."""

    @property
    def feature_cuts(self) -> Sequence[Cut]:
        """The cuts up to ``last``: those that a new head can sit on."""
        return self.cuts[: self.last.index + 1]

    def summary(self, *, inner: Iterable[str] = ()) -> NetworkSummary:
        """Return what decisions rest on; ``inner`` names cuts inside of blocks that matter."""
        known = [cut.plain() for cut in self.cuts]
        found = (self.cut(name).plain() for name in inner)
        return NetworkSummary(
            name=self.name,
            input_size=self.preprocessing.size,
            pretraining_size=self.pretraining_size,
            cuts=tuple(known),
            last=self.last.plain(),
            taps=tuple(self.taps),
            inner=tuple(cut for cut in found if cut not in known),
            work=self.family.work,
        )

    def read_by(self, rules: ReadingRules) -> None:
        """Read files by these rules from now on; they are part of the preprocessing."""
        self.preprocessing = self.preprocessing.model_copy(update={"reading": rules})

    def layers(self, after: str | None = None, to: str | None = None) -> list[str]:
        """Name the layers between two cuts, as few names as say it exactly.

        Parameters
        ----------
        after : str or None, default=None
            Start behind this cut; None starts at the image.
        to : str or None, default=None
            End with this cut; None ends with the deepest feature map.
        """
        start = 0 if after is None else self.cut(after).position + 1
        stop = (self.last if to is None else self.cut(to)).position + 1
        return layers_between(self.scopes(), set(self.stages()), start, stop)

    @property
    def lower_taps(self) -> tuple[str, ...]:
        """The taps below the last feature map: a cut there removes layers."""
        return tuple(t for t in self.taps if self.cut(t).position < self.last_map.position)

    @property
    def taps_in_space(self) -> bool:
        """Whether every tap is a map with values side by side in space."""
        return all(self.cut(tap).layout in ("NCHW", "NHWC") for tap in self.taps)

    def norm_layers(self, to: str | None = None) -> list[str]:
        """Name the norm layers with weights, up to a cut."""
        return among(self.all_norm_layers(), self.layers(to=to))

    def parameter_names(self, after: str | None = None, to: str | None = None) -> list[str]:
        """Name the parameters and buffers between two cuts (as for :meth:`layers`)."""
        return among(self.tensor_names(), self.layers(after, to))

    @abstractmethod
    def scopes(self) -> Sequence[Sequence[str]]:
        """Paths of the modules that each step of the network lies in, the outermost first."""

    @abstractmethod
    def stages(self) -> Sequence[str]:
        """Names of the stages: top-level modules, the trunk replaced by its children."""

    @abstractmethod
    def all_norm_layers(self) -> Sequence[str]:
        """Names of all norm layers with weights."""

    @abstractmethod
    def tensor_names(self) -> Collection[str]:
        """Names of the parameters and buffers of the layers up to ``last``."""

    @abstractmethod
    def tensors(self) -> Mapping[str, Array]:
        """Return parameters and buffers of the layers up to ``last``, by name."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of the tensors as they are; ``weights_id`` unless they changed."""
        return fingerprint_of(self.tensors())

    @abstractmethod
    def source_classifier(self) -> SourceClassifier | None:
        """Return the old classifier if it came with the weights and reads the pooled mean."""

    @abstractmethod
    def first_filters(self) -> str | None:
        """Name the weight of the convolution that reads the image, if that is the first layer."""

    @abstractmethod
    def graph_without_weights(self) -> NetworkGraph | None:
        """Return the ONNX graph of the layers up to ``last``; None where only PyTorch has it."""

    @abstractmethod
    def with_tensors(self, tensors: Mapping[str, Array]) -> FrozenNetwork:
        """Return an independent copy with other values of some tensors up to ``last``.

        Raises
        ------
        BackboneError
            If there is no such tensor up to ``last``, or it has another shape.
        """

    def _fitting(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Return values in the types of the tensors that they are for; see with_tensors."""
        own, fitting = self.tensors(), {}
        for name, value in tensors.items():
            if name not in own:
                raise BackboneError(f"{self.name} has no tensor {name!r} up to {self.last.name!r}.")
            if np.shape(value) != own[name].shape:
                raise BackboneError(
                    f"{name} of {self.name} has shape {own[name].shape}, not {np.shape(value)}."
                )
            fitting[name] = np.array(value, dtype=own[name].dtype)
        return fitting

    def with_statistics(self, statistics: Statistics, batches: int) -> FrozenNetwork:
        """Return a copy whose norm layers carry other statistics, the mean of some batches."""
        known = set(self.tensor_names())
        tensors: dict[str, Array] = {}
        for path, (mean, variance) in statistics.items():
            tensors |= {f"{path}.running_mean": mean, f"{path}.running_var": variance}
            if f"{path}.num_batches_tracked" in known:
                tensors[f"{path}.num_batches_tracked"] = np.array(batches, dtype=np.int64)
        return self.with_tensors(tensors)
