"""Carve parts out of a traced network, in eval and in train mode."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence

from torch import fx, nn

from frostline.backbones.graph.measuring import Size, Step
from frostline.backbones.graph.norm_inputs import NormInput, with_moments
from frostline.backbones.graph.subgraphs import (
    GraphSection,
    Subgraph,
    cut_out,
    end_of,
    matching_node,
    targets,
    to_the_end,
)
from frostline.backbones.graph.tracing import Traced
from frostline.core.errors import CutError


class SubgraphExtractor:
    """Makes parts of one network; they share its layers.

    ``module``: the network itself. ``sizes``: sizes by node name that a part can find again when
    they come from before its start. ``steps``: what the network does, in order.
    """

    def __init__(
        self, module: nn.Module, traced: Traced, sizes: Mapping[str, Size], steps: Sequence[Step]
    ) -> None:
        self._module, self._traced, self._sizes = module, traced, sizes
        self._shapes = {step.node: step.shape for step in steps}
        self._overwritten = frozenset(step.node.name for step in steps if step.overwritten)

    def of(self, module: nn.Module, traced: Traced) -> SubgraphExtractor:
        """Return one for a copy of the network, of the same graphs."""
        other = copy.copy(self)
        other._module, other._traced = module, traced
        return other

    def between(
        self, start: fx.Node | None, ends: Sequence[fx.Node], *, as_tuple: bool = False
    ) -> Subgraph:
        """Return the part from the image, or the value of ``start``, to the values of ``ends``.

        Raises CutError if the part still reads values from before its start.
        """
        stretch = self._cut_out(self._traced.graph, start, ends, as_tuple)
        training = None
        whole = self._traced.training
        if whole is not None:
            other = None if start is None else matching_node(self._traced, start)
            others = [matching_node(self._traced, end) for end in ends]
            found = [end for end in others if end is not None]
            if (start is None or other is not None) and len(found) == len(ends):
                # an auxiliary branch may cross the cut in training; it belongs to the old task
                with contextlib.suppress(CutError):
                    training = self._cut_out(whole, other, found, as_tuple).graph
        return self._as_part(stretch, training, start, rest=False)

    def ends(self, ends: Sequence[fx.Node], inputs: Sequence[NormInput] = ()) -> Subgraph:
        """Return the part that gives the values of ``ends``, then moments of inputs, as a tuple."""
        if not inputs:
            return self.between(None, ends, as_tuple=True)
        graph, nodes = with_moments(self._traced.graph, ends, inputs)
        return self._as_part(self._cut_out(graph, None, nodes, True), None, None, rest=False)

    def rest(self, start: fx.Node) -> Subgraph:
        """Return the part from the value of ``start`` to the network's output."""
        stretch = self._to_the_end(self._traced.graph, start)
        training = None
        whole = self._traced.training
        if whole is not None and _one_tensor(whole):
            other = matching_node(self._traced, start)
            if other is not None:
                with contextlib.suppress(CutError):
                    training = self._to_the_end(whole, other).graph
        return self._as_part(stretch, training, start, rest=True)

    def _cut_out(
        self, graph: fx.Graph, start: fx.Node | None, ends: Sequence[fx.Node], as_tuple: bool
    ) -> GraphSection:
        return cut_out(
            graph, start, ends, sizes=self._sizes, as_tuple=as_tuple, overwritten=self._overwritten
        )

    def _to_the_end(self, graph: fx.Graph, start: fx.Node) -> GraphSection:
        return to_the_end(graph, start, sizes=self._sizes, overwritten=self._overwritten)

    def _as_part(
        self, stretch: GraphSection, training: fx.Graph | None, start: fx.Node | None, *, rest: bool
    ) -> Subgraph:
        mine = targets(stretch.graph) | (targets(training) if training is not None else set())
        whole = targets(self._traced.graph)
        if self._traced.training is not None:
            whole |= targets(self._traced.training)
        return Subgraph(
            self._module,
            (stretch.graph, training),
            self._traced.constants,
            elsewhere=whole - mine,
            rest=rest,
            expects=self._shapes[start] if start and stretch.fixed else None,
        )


def _one_tensor(graph: fx.Graph) -> bool:
    return isinstance(end_of(graph).args[0], fx.Node)
