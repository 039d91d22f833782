"""Where a network can be cut, as plain data: what is known of each place, without the network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from frostline.core.errors import CutError, did_you_mean

Layout = Literal["NCHW", "NHWC", "NLC", "NC"]
#: what layers are busy with: depthwise convolutions among others, matrix products, or dense
#: convolutions; the same number of multiply-accumulates takes a different time in each
Work = Literal["depthwise", "products", "convolutions"]

#: names that an error lists whole; of more the first and the last half
_MOST_LISTED = 24


@dataclass(frozen=True)
class Cut:
    """A place in the network where exactly one tensor passes.

    Attributes
    ----------
    name : str
        Path of the module that ends here, or ``path:operation`` inside of one; ``aliases`` are
        other modules that end here.
    index : int
        Order by depth among the cuts it was found with, from 0.
    position : int
        Order by depth among all steps of the network: compares any two cuts.
    shape : tuple of int
        Of the passing tensor, without the batch.
    layout : {"NCHW", "NHWC", "NLC", "NC"}
    channels : int
    macs_before, macs_after : int
        Multiply-accumulates for one image.
    parameters_before, parameters_after : int
        Parameters first used before the cut, and the others.
    stage_end : bool
        Whether a whole stage ends here (otherwise only a block or less).
    receptive_field : int or None
        Side of the square of input pixels that one value can see; None where every value can
        see the whole image, or where operations leave it undefined.
    """

    name: str
    aliases: tuple[str, ...]
    index: int
    position: int
    shape: tuple[int, ...]
    layout: Layout
    channels: int
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int
    stage_end: bool
    receptive_field: int | None

    def plain(self) -> Cut:
        """Return the cut without what the network it is of knows besides."""
        return self

    @property
    def depth(self) -> float:
        """Share of the network's MACs that lie before this cut, in [0, 1]."""
        total = self.macs_before + self.macs_after
        return self.macs_before / total if total else 0.0

    @property
    def is_map(self) -> bool:
        """Whether values lie side by side in space (or as tokens): before pooling."""
        if self.layout == "NC":
            return False
        sides = self.shape[1:] if self.layout == "NCHW" else self.shape[:-1]
        return math.prod(sides) > 1

    @property
    def pooled_width(self) -> int:
        """Number of values of an image once they are pooled over space."""
        return pooled_width(self.channels, self.layout)

    @property
    def bytes_per_image(self) -> int:
        """Size of the passing tensor for one image in half precision."""
        return 2 * math.prod(self.shape)


def pooled_width(channels: int, layout: Layout) -> int:
    """Number of values that pooling gives for one image: mean and spread, where there is space."""
    return channels if layout == "NC" else 2 * channels


def tap_columns(cuts: Iterable[Cut]) -> dict[str, slice]:
    """Return which columns belong to which tap, once taps lie side by side in this order."""
    columns: dict[str, slice] = {}
    width = 0
    for cut in cuts:
        columns[cut.name] = slice(width, width + cut.pooled_width)
        width += cut.pooled_width
    return columns


@dataclass(frozen=True)
class NetworkSummary:
    """What decisions about a network rest on: its name and its cuts.

    - ``input_size``: side of the square images, in pixels.
    - ``cuts``: ends of stages and blocks, by depth.
    - ``last``: the deepest that a new head can sit on.
    - ``taps``: names of the cuts whose pooled activations are stored.
    - ``inner``: cuts inside of blocks that somebody asked for.
    - ``work``: what its layers are busy with.
    """

    name: str
    input_size: int
    cuts: tuple[Cut, ...]
    last: Cut
    taps: tuple[str, ...]
    inner: tuple[Cut, ...] = ()
    work: Work = "depthwise"

    @property
    def feature_cuts(self) -> tuple[Cut, ...]:
        """The cuts up to ``last``: those that a new head can sit on."""
        return self.cuts[: self.last.index + 1]

    def cut(self, name: str) -> Cut:
        """Return the cut called ``name``, or one of its aliases.

        Raises
        ------
        CutError
            Lists the cuts that exist.
        """
        found = find_cut(name, (*self.cuts, *self.inner))
        if found is None:
            raise no_cut(name, self.cuts, where=self.name)
        return found


def find_cut(name: str, cuts: Iterable[Cut]) -> Cut | None:
    """Return the first cut that has a name, as its own or as an alias."""
    return next((cut for cut in cuts if name == cut.name or name in cut.aliases), None)


def no_cut(
    name: str, cuts: Iterable[Cut], *, where: str, inner: Iterable[Cut] = (), reason: str = ""
) -> CutError:
    """Return the error for a name that no cut has, with a guess and the names that exist."""
    names = [cut.name for cut in cuts]
    half = _MOST_LISTED // 2
    shown = names if len(names) <= _MOST_LISTED else [*names[:half], "...", *names[-half:]]
    guess = did_you_mean(name, [*names, *(cut.name for cut in inner)])
    listed = f"Cuts, by depth: {', '.join(shown)}."
    return CutError(
        f"There is no cut {name!r} in {where}.{reason}", hint=f"{guess} {listed}".strip()
    )
