"""A pretrained network as a sequence of stages with cuts between them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from frostline.backbone.cuts import Cut, choose_taps, find_cuts, stage_paths
from frostline.backbone.pooling import pooled, pooled_width
from frostline.backbone.sources import Source, load_source
from frostline.backbone.tracing import Step, assemble, depends_on_image, measure, trace_features
from frostline.backbone.weights import fingerprint
from frostline.errors import CutError, did_you_mean
from frostline.preprocessing import Preprocessing


class Network:
    """The feature part of a pretrained network, ready to be cut, frozen and tapped.

    Attributes
    ----------
    name : str
    preprocessing : Preprocessing
        What belongs to the weights.
    licence : str
        Of the weights.
    feature_module : GraphModule
        Image to last feature map; parameter names are the network's own; in eval mode.
    cuts : tuple of Cut
        Ends of stages and blocks where one tensor passes, by depth.
    taps : tuple of str
        At most 10 cuts at stage ends, by depth; the last cut is always among them.
    macs : int
        Multiply-accumulates of the feature part for one image.
    """

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self.preprocessing: Preprocessing = source.preprocessing
        self.licence = source.licence
        self._source = source
        self.feature_module = assemble(source.net, trace_features(source.net, name))
        self.feature_module.graph.eliminate_dead_code()
        self.feature_module.recompile()
        self._graph = self.feature_module.graph
        self._steps: list[Step] = measure(self.feature_module, self.preprocessing.size)
        channels_last = getattr(source.net, "output_fmt", "NCHW") == "NHWC"
        self.cuts: tuple[Cut, ...] = tuple(find_cuts(self._steps, channels_last))
        if not self.cuts:
            raise CutError(f"Backbone {name!r} has no place where a single tensor passes.")
        self.taps = choose_taps(list(self.cuts))
        self.macs = sum(step.macs for step in self._steps)
        self.weights_id = fingerprint(self.feature_module)

    @classmethod
    def load(cls, name: str, *, weights: Path | None = None, pretrained: bool = True) -> Network:
        """Load a bundled network, any timm name, or a local weights file for one.

        Raises
        ------
        BackboneError
            See :func:`frostline.backbone.sources.load_source`.
        """
        return cls(name, load_source(name, weights=weights, pretrained=pretrained))

    def copy(self) -> Network:
        """Return an independent network with its own copy of the weights."""
        source = self._source
        return Network(
            self.name, Source(copy.deepcopy(source.net), source.preprocessing, source.licence)
        )

    @property
    def last(self) -> Cut:
        """The deepest cut: the last feature map."""
        return self.cuts[-1]

    def cut(self, name: str) -> Cut:
        """Return the cut called ``name`` (or one of its aliases).

        Raises
        ------
        CutError
            Lists the cuts that exist.
        """
        for cut in self.cuts:
            if name == cut.name or name in cut.aliases:
                return cut
        raise CutError(
            f"There is no cut {name!r} in {self.name}.",
            hint=" ".join(
                part
                for part in (
                    did_you_mean(name, [c.name for c in self.cuts]),
                    f"Cuts, by depth: {', '.join(c.name for c in self.cuts)}.",
                )
                if part
            ),
        )

    def prefix(self, cut: str) -> fx.GraphModule:
        """Return the part up to ``cut``: image to activations. Shares the network's weights."""
        return self._part(None, [self.cut(cut).node])

    def suffix(self, cut: str, to: str | None = None) -> fx.GraphModule:
        """Return the part after ``cut``, up to ``to`` or the end. Shares the network's weights.

        Raises
        ------
        CutError
            If ``to`` does not lie deeper than ``cut``.
        """
        start, end = self.cut(cut), self.last if to is None else self.cut(to)
        if end.index <= start.index:
            raise CutError(f"{end.name!r} does not lie deeper than {start.name!r}.")
        return self._part(start.node, [end.node])

    def split(self, cut: str) -> tuple[fx.GraphModule, fx.GraphModule]:
        """Return prefix and suffix; ``suffix(prefix(x))`` equals ``feature_module(x)``."""
        return self.prefix(cut), self.suffix(cut)

    def body(self, taps: Sequence[str]) -> TapsBody:
        """Return a module that gives the pooled activations at ``taps``, side by side."""
        cuts = sorted((self.cut(name) for name in taps), key=lambda c: c.index)
        return TapsBody(self._part(None, [c.node for c in cuts], always_tuple=True), cuts)

    def layers(self, after: str | None = None, to: str | None = None) -> list[str]:
        """Name the layers between two cuts, as few names as say it exactly.

        Parameters
        ----------
        after : str or None, default=None
            Start behind this cut; None starts at the image.
        to : str or None, default=None
            End with this cut; None ends with the last layer.
        """
        place = {step.node: i for i, step in enumerate(self._steps)}
        start = 0 if after is None else place[self.cut(after).node] + 1
        stop = len(self._steps) if to is None else place[self.cut(to).node] + 1
        inside = self._steps[start:stop]
        outside = {p for s in (*self._steps[:start], *self._steps[stop:]) for p in s.scopes}
        stages = set(stage_paths(self._steps))
        names: dict[str, None] = {}
        for step in inside:
            # the outermost module, from its stage down, that lies wholly inside
            paths = [p for p in step.scopes if _at_or_below(p, stages) and p not in outside]
            if paths:
                names[paths[0]] = None
        return list(names)

    def parameter_names(self, after: str | None = None, to: str | None = None) -> list[str]:
        """Names of all parameters and buffers between two cuts (as for :meth:`layers`)."""
        inside = tuple(self.layers(after, to))
        return [
            name
            for name in self.feature_module.state_dict()
            if any(name == layer or name.startswith(layer + ".") for layer in inside)
        ]

    def _part(
        self, start: fx.Node | None, ends: list[fx.Node], *, always_tuple: bool = False
    ) -> fx.GraphModule:
        """Copy the nodes that ``ends`` need, from the image or from the value of ``start``."""
        live = depends_on_image(self._graph)
        needed: set[fx.Node] = set()
        queue = list(ends)
        while queue:
            node = queue.pop()
            if node not in needed:
                needed.add(node)
                queue += [] if node is start else node.all_input_nodes
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        if start is not None:
            copies[start] = graph.placeholder("x")
        for node in self._graph.nodes:
            if node not in needed or node is start:
                continue
            if start is not None and node.op == "placeholder" and node in live:
                raise CutError("The part after this cut still reads the image.")
            copies[node] = graph.node_copy(node, lambda n: copies[n])
        outputs = tuple(copies[node] for node in ends)
        graph.output(outputs if always_tuple or len(outputs) > 1 else outputs[0])
        graph.lint()
        return assemble(self.feature_module, graph)


class TapsBody(nn.Module):
    """Pooled activations at several cuts, concatenated.

    Attributes
    ----------
    slices : dict of str to slice
        Which columns belong to which tap.
    width : int
        Number of columns.
    """

    def __init__(self, graph: fx.GraphModule, cuts: Sequence[Cut]) -> None:
        super().__init__()
        self.graph = graph
        self._layouts = [cut.layout for cut in cuts]
        self.slices: dict[str, slice] = {}
        self.width = 0
        for cut in cuts:
            step = pooled_width(cut.channels, cut.layout)
            self.slices[cut.name] = slice(self.width, self.width + step)
            self.width += step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps: Any = self.graph(x)
        return torch.cat([pooled(m, y) for m, y in zip(maps, self._layouts, strict=True)], dim=1)


def _at_or_below(path: str, stages: set[str]) -> bool:
    return any(path == stage or path.startswith(stage + ".") for stage in stages)
