"""Find the places where exactly one tensor passes, and name them after modules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from torch import fx

from frostline.backbone.tracing import Step

Layout = Literal["NCHW", "NHWC", "NLC", "NC"]

#: a top-level module with more than this share of all MACs is the trunk: its children are stages
_TRUNK_SHARE = 0.6
MAX_TAPS = 10


@dataclass(frozen=True)
class Cut:
    """A place in the network where exactly one tensor passes.

    Attributes
    ----------
    name : str
        Path of the module that ends here; ``aliases`` are inner modules that end here too.
    index : int
        Order by depth, from 0.
    shape : tuple of int
        Of the passing tensor, without the batch.
    layout : {"NCHW", "NHWC", "NLC", "NC"}
    channels : int
    macs_before, macs_after, parameters_before : int
        Multiply-accumulates for one image, and parameters.
    stage_end : bool
        Whether a whole stage ends here (otherwise only a block).
    """

    name: str
    aliases: tuple[str, ...]
    index: int
    shape: tuple[int, ...]
    layout: Layout
    channels: int
    macs_before: int
    macs_after: int
    parameters_before: int
    stage_end: bool
    node: fx.Node

    @property
    def depth(self) -> float:
        """Share of the network's MACs that lie before this cut, in [0, 1]."""
        total = self.macs_before + self.macs_after
        return self.macs_before / total if total else 0.0

    @property
    def bytes_per_image(self) -> int:
        """Size of the passing tensor for one image in half precision."""
        size = 2
        for side in self.shape:
            size *= side
        return size


def find_cuts(steps: list[Step], channels_last: bool) -> list[Cut]:
    """Return the cuts at stage and block ends, in order of depth.

    Parameters
    ----------
    steps : list of Step
        The image-dependent steps of the feature part, in order of execution.
    channels_last : bool
        Whether three-dimensional maps are laid out as (height, width, channels).
    """
    single = _single_tensor_positions(steps)
    last_use = {path: i for i, step in enumerate(steps) for path in step.scopes}
    stages = stage_paths(steps)
    total = sum(step.macs for step in steps)
    found: list[Cut] = []
    macs = parameters = 0
    for position, step in enumerate(steps):
        macs += step.macs
        parameters += step.parameters
        shape = step.shape
        if position not in single or shape is None or len(shape) > 3:
            continue
        ended = [path for path in step.scopes if last_use[path] == position]
        named = _named(ended, stages)
        if not named:
            continue
        layout = _layout(shape, channels_last)
        cut = Cut(
            name=named[0],
            aliases=tuple(path for path in ended if path != named[0]),
            index=len(found),
            shape=shape,
            layout=layout,
            channels=shape[0] if layout == "NCHW" else shape[-1],
            macs_before=macs,
            macs_after=total - macs,
            parameters_before=parameters,
            stage_end=named[0] in stages,
            node=step.node,
        )
        # nothing is computed between two such cuts, so the later one stands for both
        if found and found[-1].macs_before == macs and found[-1].stage_end <= cut.stage_end:
            previous = found.pop()
            idle = previous.shape == shape and previous.parameters_before == parameters
            name = previous.name if idle and previous.stage_end else cut.name
            others = (cut.name, *cut.aliases, previous.name, *previous.aliases)
            aliases = tuple(path for path in dict.fromkeys(others) if path != name)
            cut = replace(cut, name=name, index=previous.index, aliases=aliases)
        found.append(cut)
    return found


def stage_paths(steps: list[Step]) -> list[str]:
    """Return the names of the stages: top-level modules, the trunk replaced by its children."""
    total = sum(step.macs for step in steps) or 1
    tops: dict[str, int] = {}
    for step in steps:
        if step.scopes:
            tops[step.scopes[0]] = tops.get(step.scopes[0], 0) + step.macs
    stages: list[str] = []
    for top, macs in tops.items():
        children = _children(steps, top)
        stages += children if macs / total > _TRUNK_SHARE and len(children) > 1 else [top]
    return stages


def choose_taps(cuts: list[Cut]) -> tuple[str, ...]:
    """Return at most ``MAX_TAPS`` stage ends, spread over the depth, the last always among them."""
    ends = [cut for cut in cuts if cut.stage_end]
    if cuts and (not ends or ends[-1] is not cuts[-1]):
        ends.append(cuts[-1])
    while len(ends) > MAX_TAPS:
        # drop the inner one whose neighbours lie closest together in depth
        gaps = [ends[i + 1].depth - ends[i - 1].depth for i in range(1, len(ends) - 1)]
        ends.pop(1 + gaps.index(min(gaps)))
    return tuple(cut.name for cut in ends)


def _single_tensor_positions(steps: list[Step]) -> set[int]:
    """Positions after which exactly one value is still needed: the one just made."""
    place = {step.node: i for i, step in enumerate(steps)}
    until = {}
    for i, step in enumerate(steps):
        uses = [place.get(user, len(steps)) for user in step.node.users]
        until[i] = max(uses, default=i)
    alone: set[int] = set()
    open_values: set[int] = set()
    for i in range(len(steps)):
        open_values = {j for j in open_values if until[j] > i}
        if not open_values and (until[i] > i):
            alone.add(i)
        open_values.add(i)
    return alone


def _named(ended: list[str], stages: list[str]) -> list[str]:
    """Keep the ended modules that people know: stages, then direct children of stages."""
    known = [path for path in ended if path in stages]
    if known:
        return known
    return [path for path in ended if path.rpartition(".")[0] in stages]


def _children(steps: list[Step], parent: str) -> list[str]:
    depth = parent.count(".") + 1
    found: dict[str, None] = {}
    for step in steps:
        for path in step.scopes:
            if path.startswith(parent + ".") and path.count(".") == depth:
                found[path] = None
    return list(found)


def _layout(shape: Iterable[int], channels_last: bool) -> Layout:
    sides = len(tuple(shape))
    if sides == 3:
        return "NHWC" if channels_last else "NCHW"
    return "NLC" if sides == 2 else "NC"
