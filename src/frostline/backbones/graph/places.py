"""Where a network can be cut and is looked at, and where its head sits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import fx, nn

from frostline.backbones.families import Family
from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.graph.carving import SubgraphExtractor
from frostline.backbones.graph.choosing_taps import (
    MAX_COLUMNS,
    choose_reading,
    choose_taps,
    read_as,
)
from frostline.backbones.graph.cuts import TracedCut, find_cuts
from frostline.backbones.graph.layers import deepest_map, parameter_counter
from frostline.backbones.graph.measuring import Step
from frostline.backbones.graph.pre_logits import pre_logits
from frostline.backbones.graph.token_readings import with_token_readings
from frostline.backbones.graph.tracing import Traced
from frostline.backbones.heads.pooling import pooled
from frostline.core.cuts import Part
from frostline.core.errors import CutError

_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Places:
    """Where a network can be cut and looked at.

    - ``cuts``: ends of stages and blocks, by depth.
    - ``last``: the deepest that a new head can sit on.
    - ``last_map``: the deepest with values side by side in space, or as tokens.
    - ``taps``: cuts whose pooled activations are stored.
    - ``pooling``: what tokens are read as; empty where no place is read otherwise than as mean and
      spread of all that passes, up to the last map.
    """

    cuts: tuple[TracedCut, ...]
    last: TracedCut
    last_map: TracedCut
    taps: tuple[str, ...]
    pooling: tuple[Part, ...]

    def ending_at(self, end: TracedCut, family: Family) -> Places:
        """Return the same of a network of which nothing above ``end`` is left."""
        cuts = self.cuts[: end.index + 1]
        maps = [cut for cut in cuts if cut.is_map and cut.index <= self.last_map.index]
        # a vector that is no reading of the last map: everything is looked at up to it
        last_map = end if end.is_map or not maps else maps[-1]
        taps = choose_taps(cuts, last_map, end, most_columns=_most_columns(family))
        return replace(self, cuts=cuts, last=end, last_map=last_map, taps=taps)


class PlaceFinder:
    """Finds the places of one traced network.

    ``sides``: height and width of the images. ``pooling``: what tokens are read as, where that is
    known; empty takes all tokens alike, and the last map for what the head sits on, as models were
    made before tokens were told apart; None chooses.
    """

    def __init__(
        self,
        net: nn.Module,
        traced: Traced,
        steps: Sequence[Step],
        parts: SubgraphExtractor,
        *,
        family: Family,
        sides: tuple[int, int],
        pooling: Sequence[Part] | None,
    ) -> None:
        self._net, self._traced, self._steps, self._parts = net, traced, steps, parts
        self._family, self._sides = family, sides
        self._asked = None if pooling is None else tuple(pooling)
        self._head_input: fx.Node | None = None
        self._own: Part | None = None
        self._last_map: TracedCut | None = None
        self._pooling: tuple[Part, ...] = ()

    def find(self, name: str) -> Places:
        """Return the places.

        Raises CutError if there is no place where a single tensor passes.

        ``name``: of the network.
        """
        cuts = self._found()
        if not cuts:
            # branches side by side: nothing passes alone before the vector that all end in
            self._head_input = pre_logits(self._net, self._traced.graph, self._steps)
            cuts = self._found()
        if not cuts:
            raise CutError(
                f"{name} has no place where a single tensor passes.",
                hint="frostline.freeze(module, patterns) still works by names.",
            )
        last_map = last = deepest_map(self._net, self._traced, cuts, self._steps)
        if self._asked != () and self._head_input is None:
            self._look_above(last_map)
        if self._head_input is not None:
            cuts = self._found()
            last = next(cut for cut in cuts if cut.node is self._head_input)
            # where small images leave one place, a norm behind it is no cut of its own
            last_map = next((cut for cut in cuts if cut.name == last_map.name), last)
        self._last_map = last_map
        most = _most_columns(self._family)
        told_apart = self._head_input is not None or any(cut.tokens for cut in cuts)
        if told_apart:
            self._pooling = self._asked or choose_reading(
                cuts, last_map, last, own=self._own, most_columns=most or MAX_COLUMNS
            )
        cuts = self._read(cuts)
        by_name = {cut.name: cut for cut in cuts}
        last, last_map = by_name[last.name], by_name[last_map.name]
        # below the last one: vectors on the way from the last map to the head
        looked_at = [c for c in cuts if c.position <= last_map.position]
        taps = choose_taps(looked_at, last_map, last, most_columns=most)
        return Places(tuple(cuts), last, last_map, taps, self._pooling)

    def everywhere(self) -> tuple[TracedCut, ...]:
        """Return every place where one tensor passes, inside of blocks too."""
        return tuple(self._read(self._found(everywhere=True)))

    def _found(self, *, everywhere: bool = False) -> list[TracedCut]:
        cuts = find_cuts(
            self._net,
            self._steps,
            sides=self._sides,
            parameters=parameter_counter(self._net, self._traced.constants),
            everywhere=everywhere,
            pre_logits=self._head_input,
        )
        if self._asked == ():
            return cuts
        return with_token_readings(cuts, self._net, self._family, self._steps, self._sides)

    def _read(self, cuts: Sequence[TracedCut]) -> list[TracedCut]:
        if not self._pooling or self._last_map is None:
            return list(cuts)
        return [read_as(cut, self._pooling, last_map=self._last_map, own=self._own) for cut in cuts]

    def _look_above(self, last_map: TracedCut) -> None:
        """Find what the classifier reads, and whether a reading of the last map says it already."""
        node = pre_logits(self._net, self._traced.graph, self._steps)
        places = {step.node: i for i, step in enumerate(self._steps)}
        if node is None or places[node] <= last_map.position:
            return
        self._own = self._reading_that_is(node, last_map)
        # tokens of several kinds: which of them to read is the network's to say
        several = last_map.tokens is not None and last_map.tokens.prefix_tokens > 0
        if (self._own is not None and not several) or self._is_a_single_place(node):
            return
        self._head_input = node
        if all(cut.node is not node for cut in self._found()):
            # other values pass beside it
            self._head_input = None

    def _is_a_single_place(self, node: fx.Node) -> bool:
        """Whether small images leave a map of one place, which pooling only takes the form of."""
        shapes = {step.node: step.shape for step in self._steps}
        map_ = self._traced.features
        shape = None if map_ is None else shapes.get(map_)
        if map_ is None or shape is None or shape[1:] != (1, 1):
            return False
        try:
            way = self._parts.between(map_, [node])
        except CutError:
            return False
        x = self._random(shape)
        with torch.no_grad(), eval_mode(way):
            found = way(x.clone())
        return found.numel() == x.numel() and torch.allclose(found.flatten(), x.flatten())

    def _random(self, shape: Sequence[int]) -> torch.Tensor:
        """Return made-up activations for two images, of the network's own type."""
        like = next((t for t in self._net.parameters() if t.is_floating_point()), torch.zeros(1))
        return torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)).to(like)

    def _reading_that_is(self, node: fx.Node, last_map: TracedCut) -> Part | None:
        """Return the part of the pooled last map that a vector behind it equals."""
        try:
            way = self._parts.between(last_map.node, [node])
        except CutError:
            return None
        x = self._random(last_map.shape)
        with torch.no_grad(), eval_mode(way):
            found = way(x.clone())
            read = pooled(x, last_map.layout, last_map.tokens)
        names = last_map.parts or ("mean",)
        for name, block in zip(names, read.chunk(len(names), dim=1), strict=True):
            if found.shape == block.shape and torch.allclose(found, block, atol=_TOLERANCE):
                return name
        return None


def _most_columns(family: Family) -> int | None:
    # networks with BatchNorm keep the depths that they were always looked at
    return None if family.norm_kind == "batch" else MAX_COLUMNS
