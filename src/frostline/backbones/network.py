"""A pretrained network as a sequence of stages with cuts between them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import fx, nn

from frostline.backbones.families import family_of
from frostline.backbones.fingerprints import fingerprint
from frostline.backbones.freeze.eval_mode import unlock_all
from frostline.backbones.frozen_network import Array, FrozenNetwork
from frostline.backbones.graph.carving import SubgraphExtractor
from frostline.backbones.graph.cuts import TracedCut, stage_paths
from frostline.backbones.graph.ends import input_layers
from frostline.backbones.graph.layers import acts_by_mode
from frostline.backbones.graph.measuring import Step, find_sizes, measure
from frostline.backbones.graph.merging import merge
from frostline.backbones.graph.norm_inputs import NormInput, find_norm_inputs
from frostline.backbones.graph.places import PlaceFinder, Places
from frostline.backbones.graph.subgraphs import Subgraph
from frostline.backbones.graph.tracing import ExampleError, Traced, structure_of, trace
from frostline.backbones.heads.source_classifier import SourceClassifier
from frostline.backbones.heads.source_layer import SourceLayer, source_classifier_of, source_layer
from frostline.backbones.layer_kinds import is_norm
from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.found import LoadedNetwork, at_size
from frostline.backbones.load.image_sizes import edge_sentences, unsuited
from frostline.backbones.taps import TapsBody
from frostline.core.cuts import Part, no_cut
from frostline.core.errors import BackboneError, CutError
from frostline.core.preprocessing import Preprocessing
from frostline.core.reading_rules import ReadingRules


class Network(FrozenNetwork):
    """A pretrained network of PyTorch, ready to be cut, frozen, tapped and trained.

    Besides what every :class:`FrozenNetwork` has:

    Attributes
    ----------
    module : Module
        The network itself. Parts share its layers: what trains in a part trains here.
    feature_module : Subgraph
        Image to the activations at ``last``.
    """

    last: TracedCut
    last_map: TracedCut

    def __init__(
        self, name: str, source: LoadedNetwork, *, pooling: Sequence[Part] | None = None
    ) -> None:
        self.name = name
        self.module = source.net
        self.preprocessing: Preprocessing = source.preprocessing
        self.licence = source.licence
        self.example_shape = tuple(source.example.shape)
        self._source = source
        self._shortened_to: str | None = None
        self._structure = structure_of(source.net)
        self._traced: Traced = trace(source.net, name, source.example)
        sizes = find_sizes(self._traced, len(source.example))
        self._steps: list[Step] = measure(source.net, self._traced, source.example, sizes)
        self._parts = SubgraphExtractor(source.net, self._traced, sizes, self._steps)
        self.family, self._asked = family_of(source.net), pooling
        self._finder = PlaceFinder(
            source.net,
            self._traced,
            self._steps,
            self._parts,
            family=self.family,
            sides=(self.example_shape[-2], self.example_shape[-1]),
            pooling=pooling,
        )
        self._take(self._finder.find(name))
        edge = edge_sentences(source.net, self.example_shape[-1], name=name)
        self.notes = (*source.notes, *self._traced.notes, *edge)

    @classmethod
    def load(
        cls,
        source: str | Path | nn.Module,
        *,
        example: torch.Tensor | None = None,
        weights: Path | None = None,
        pretrained: bool = True,
        input_channels: int = 3,
        preprocessing: Preprocessing | None = None,
        size: int | None = None,
        pooling: Sequence[Part] | None = None,
    ) -> Network:
        """Load a network from wherever it comes.

        Parameters
        ----------
        source : str, Path or Module
            A bundled network (``efficientnet_lite0``), any timm name with or without a tag
            (``resnet50.a1_in1k``, ``timm/resnet50.a1_in1k``, ``hf-hub:OWNER/NAME``),
            ``torchvision:NAME``, a model folder written by Frostline or by timm
            (``local-dir:PATH``), or a module, which is used as it is (not copied).
        example : Tensor of shape (n, channels, height, width), optional
            Images that a module accepts; needed for modules that do not tell their input size.
        weights : Path or None, default=None
            Local weights for a named architecture: safetensors, a checkpoint of PyTorch, or a
            folder with one of them.
        pretrained : bool, default=True
            False gives random weights.
        input_channels : int, default=3
            Another number adapts the first layer, see :func:`adapt_input`.
        preprocessing : Preprocessing or None, default=None
            What belongs to the weights of a module, when it is known.
        size : int or None, default=None
            Side of square images in pixels, instead of the weights' own.
        pooling : sequence of {"class", "mean", "spread"} or None, default=None
            What tokens are read as, as a model's card says it; None chooses by the family.

        Raises
        ------
        BackboneError
            If it cannot be found, loaded or traced; says what would work instead.
        """
        found = load_source(
            source,
            example=example,
            weights=weights,
            pretrained=pretrained,
            input_channels=input_channels,
            preprocessing=preprocessing,
            size=size,
        )
        if size is not None:
            found = at_size(found, size, resize=False)
        try:
            network = cls(found.name, found, pooling=pooling)
        except ExampleError as error:
            if size is None or isinstance(source, nn.Module):
                raise
            raise unsuited(found.net, size, name=found.name) from error
        if found.keep_to is not None:
            network._end_at(found.keep_to)
        missing = set(network.feature_module.state_dict()) - (found.loaded or set())
        if found.loaded is not None and missing:
            raise BackboneError(
                f"{source} lacks {len(missing)} tensors of {found.name} (first: {min(missing)}).",
                hint="It was probably written by another version of timm or torchvision.",
            )
        return network

    def copy(self) -> Network:
        """Return an independent network with its own copy of the weights."""
        module = copy.deepcopy(self.module)
        source = replace(self._source, net=module)
        if structure_of(self.module) == self._structure:
            # tracing takes a second or more, and would find the same again
            network = copy.copy(self)
            network.module, network._source = module, source
            network._traced = replace(self._traced, constants=copy.deepcopy(self._traced.constants))
            network._parts = self._parts.of(module, network._traced)
            network.feature_module = network._parts.between(None, [self.last.node])
            network.weights_id = fingerprint(network.feature_module)
            return network
        network = Network(self.name, source, pooling=self._asked)
        if network.last.name != self.last.name:
            network._end_at(self.last.name)
        return network

    def at_size(self, size: int) -> Network:
        """Return an independent copy that takes square images of ``size`` pixels.

        Raises
        ------
        BackboneError, CutError
            If the network does not accept images of that size.
        """
        source = replace(
            self._source, net=copy.deepcopy(self.module), preprocessing=self.preprocessing
        )
        try:
            network = Network(self.name, at_size(source, size), pooling=self._asked)
        except ExampleError as error:
            raise unsuited(self.module, size, name=self.name) from error
        # small images may end a whole network elsewhere; one that was shortened stays so
        if self._shortened_to is not None:
            network._end_at(self._shortened_to)
        return network

    def read_by(self, rules: ReadingRules) -> None:
        """Read files by these rules from now on; they are part of the preprocessing."""
        super().read_by(rules)
        self._source = replace(self._source, preprocessing=self.preprocessing)

    @property
    def graph(self) -> fx.Graph:
        """The network as a graph of its own modules, in eval mode."""
        return self._traced.graph

    @property
    def example(self) -> torch.Tensor:
        """A batch that the network accepts."""
        return self._source.example

    @cached_property
    def all_cuts(self) -> tuple[TracedCut, ...]:
        """Every place where one tensor passes, inside of blocks too."""
        return self._finder.everywhere()

    def cut(self, name: str) -> TracedCut:
        """Return the cut called ``name`` (or one of its aliases), wherever it lies.

        Raises
        ------
        CutError
            Lists the cuts that exist.
        """
        for cuts in (self.cuts, self.all_cuts):
            for cut in cuts:
                if name == cut.name or name in cut.aliases:
                    return cut
        inside = name in dict(self.module.named_modules())
        reason = " Several tensors pass at its end." if inside else ""
        raise no_cut(name, self.cuts, where=self.name, inner=self.all_cuts, reason=reason)

    def prefix(self, cut: str) -> Subgraph:
        """Return the part up to ``cut``: image to activations. Shares the network's layers."""
        return self._parts.between(None, [self.cut(cut).node])

    def suffix(self, cut: str, to: str | None = None) -> Subgraph:
        """Return the part after ``cut``, up to ``to`` or the deepest feature map.

        Raises
        ------
        CutError
            If ``to`` does not lie deeper than ``cut``.
        """
        start, end = self.cut(cut), self.last if to is None else self.cut(to)
        if self._place(end.node) <= self._place(start.node):
            raise CutError(f"{end.name!r} does not lie deeper than {start.name!r}.")
        return self._parts.between(start.node, [end.node])

    def split(self, cut: str) -> tuple[Subgraph, Subgraph]:
        """Return the network in two parts; ``suffix(prefix(x))`` equals ``module(x)``.

        The suffix reaches to the network's output, its old classifier included. Both share the
        network's layers, and together have every entry of its state dict.
        """
        found = self.cut(cut)
        return self._parts.between(None, [found.node]), self._parts.rest(found.node)

    def merge(self, prefix: nn.Module, suffix: nn.Module) -> nn.Module:
        """Return a plain copy of the network with the tensors of two parts of :meth:`split`.

        Its class and its names are the network's own, so ``load_state_dict`` of the library
        that the network came from takes its state dict.

        Raises
        ------
        BackboneError
            If the two do not have every tensor, or disagree on one that both have.
        """
        return merge(self.plain(), prefix, suffix, name=self.name)

    def source_classifier(self) -> SourceClassifier | None:
        """Return the old classifier if it came with the weights and reads what is pooled."""
        found = self.source_layer()
        return None if found is None else source_classifier_of(self.module, found)

    def source_layer(self) -> SourceLayer | None:
        """Return the old classifier's layer, see :meth:`source_classifier`."""
        if not self._source.classifier:
            return None
        return source_layer(
            self.module, self.graph, self.last, lambda: self.split(self.last.name)[1]
        )

    def first_filters(self) -> str | None:
        """Name the weight of the convolution that reads the image, if that is the first layer."""
        names = input_layers(self.module, self.graph)
        layer = self.module.get_submodule(names[0]) if names else None
        return f"{names[0]}.weight" if isinstance(layer, nn.Conv2d) else None

    def tensors(self) -> dict[str, Array]:
        """Return parameters and buffers of the layers up to ``last``, by name."""
        state = self.feature_module.state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    def fingerprint(self) -> str:
        """Return the SHA-256 of the tensors as they are; ``weights_id`` unless they changed."""
        return fingerprint(self.feature_module)

    def graph_without_weights(self) -> None:
        """Return None: PyTorch runs this network, or an engine what PyTorch exported."""

    def with_tensors(self, tensors: Mapping[str, Array]) -> Network:
        """Return an independent copy with other values of some tensors up to ``last``."""
        fitting = self._fitting(tensors)
        network = self.copy()
        state = network.feature_module.state_dict()
        for name, value in fitting.items():
            state[name].copy_(torch.from_numpy(value))
        network.weights_id = fingerprint(network.feature_module)
        return network

    def plain(self) -> nn.Module:
        """Return a copy of the network as its own library knows it: nothing frozen or held."""
        module = copy.deepcopy(self.module)
        unlock_all(module)
        return module

    def body(self, taps: Sequence[str]) -> TapsBody:
        """Return a module that gives the pooled activations at ``taps``, side by side."""
        cuts = sorted((self.cut(name) for name in taps), key=lambda c: self._place(c.node))
        return TapsBody(self._parts.between(None, [c.node for c in cuts], as_tuple=True), cuts)

    def all_norm_layers(self) -> list[str]:
        """Names of all norm layers with weights."""
        norms = (n for n, m in self.module.named_modules() if is_norm(m))
        return [n for n in norms if list(self.module.get_submodule(n).parameters(recurse=False))]

    def tensor_names(self) -> list[str]:
        """Names of the parameters and buffers of the layers up to ``last``."""
        return list(self.feature_module.state_dict())

    def stages(self) -> list[str]:
        """Names of the stages: top-level modules, the trunk replaced by its children."""
        return stage_paths(self.module, self._steps)

    def scopes(self) -> tuple[tuple[str, ...], ...]:
        """Paths of the modules that each step of the network lies in, the outermost first."""
        return tuple(tuple(step.scopes) for step in self._steps)

    def ends(self, names: Sequence[str], moments: Sequence[NormInput] = ()) -> Subgraph:
        """Return the part that gives activations at cuts, then moments of norms, as a tuple."""
        nodes = [self.cut(name).node for name in names]
        return self._parts.ends(nodes, moments)

    def norm_inputs(self) -> list[NormInput]:
        """Return what the norm layers up to ``last`` read, by depth."""
        steps = self._steps[: self._place(self.last.node) + 1]
        return find_norm_inputs(self.module, steps, prefix_tokens=self.family.prefix_tokens)

    def tensors_before(self, cut: str) -> tuple[set[str], set[str]]:
        """Modules and tensors that run before ``cut``, and those that run after it."""
        place = self._place(self.cut(cut).node)
        before = {t for s in self._steps[: place + 1] for t in s.tensors}
        after = {t for s in self._steps[place + 1 :] for t in s.tensors}
        return before, after

    def scopes_before(self, cut: str) -> set[str]:
        """Paths of all modules that run before ``cut``."""
        place = self._place(self.cut(cut).node)
        return {path for step in self._steps[: place + 1] for path in step.scopes}

    def scopes_after(self, cut: str) -> set[str]:
        """Paths of all modules that run after ``cut``; the network itself is none of them."""
        place = self._place(self.cut(cut).node)
        return {path for step in self._steps[place + 1 :] for path in step.scopes}

    def acts_by_mode_before(self, cut: str) -> bool:
        """Whether a module that ``cut`` divides acts by its own mode before it."""
        return acts_by_mode(self._traced, self.cut(cut).node)

    def _place(self, node: fx.Node) -> int:
        return self._places[node]

    @cached_property
    def _places(self) -> dict[fx.Node, int]:
        return {step.node: i for i, step in enumerate(self._steps)}

    def _take(self, places: Places) -> None:
        self._found = places
        self.cuts: tuple[TracedCut, ...] = places.cuts
        self.last, self.last_map, self.taps = places.last, places.last_map, places.taps
        self.pooling = places.pooling
        self.macs = self.last.macs_before
        self.feature_module = self._parts.between(None, [self.last.node])
        self.weights_id = fingerprint(self.feature_module)

    def _end_at(self, name: str) -> None:
        """Let the network end at ``name``: nothing above it is left to be used."""
        end = self.cut(name)
        if end not in self.cuts:
            raise CutError(f"{name!r} is no end of a stage or block.")
        self._shortened_to = name
        self._take(self._found.ending_at(end, self.family))


def split(
    module: nn.Module, cut: str, *, example: torch.Tensor | None = None
) -> tuple[Subgraph, Subgraph]:
    """Split any module at a cut; see :meth:`Network.split`."""
    return Network.load(module, example=example).split(cut)
