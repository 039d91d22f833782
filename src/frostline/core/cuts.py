"""Where a network can be cut, as plain data: what is known of each place, without the network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from frostline.core.errors import CutError, did_you_mean

Layout = Literal["NCHW", "NHWC", "NLC", "NC"]
#: what layers are busy with: depthwise convolutions among others, matrix products, or dense
#: convolutions; the same number of multiply-accumulates takes a different time in each
Work = Literal["depthwise", "products", "convolutions"]
#: what one vector an image is made of: class token, mean and spread of the patches
Part = Literal["class", "mean", "spread"]
#: of a map, and of tokens of which nothing more is known
PLAIN: tuple[Part, ...] = ("mean", "spread")

#: share of the work below the middle of a network
_HALF = 0.5

#: names that an error lists whole; of more the first and the last half
_MOST_LISTED = 24


@dataclass(frozen=True)
class TokenReading:
    """How the tokens that pass at a cut become one vector an image.

    Attributes
    ----------
    parts : tuple of {"class", "mean", "spread"}
        Put side by side: the class token, and mean and standard deviation of the patches.
    prefix_tokens : int
        Tokens before those of the patches; none of them enters mean or spread.
    class_tokens : int
        How many of them, from the first, stand for the image; several are averaged.
    norm : {"layer", "rms"} or None
        What every token passes first, without weights: columns are standardised later, so weights
        would say nothing. It keeps single channels and single tokens from ruling the rest.
    epsilon : float
        Of that norm.
    grid : tuple of int or None
        Rows and columns of the patches; None where they are unknown.
    """

    parts: tuple[Part, ...]
    prefix_tokens: int = 0
    class_tokens: int = 0
    norm: Literal["layer", "rms"] | None = None
    epsilon: float = 0.0
    grid: tuple[int, int] | None = None


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
    tokens: TokenReading | None = None

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
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of places; None for a vector, and for tokens whose order is unknown."""
        if not self.is_map:
            return None
        if self.layout == "NCHW":
            return self.shape[1], self.shape[2]
        if self.layout == "NHWC":
            return self.shape[0], self.shape[1]
        if self.tokens is not None and self.tokens.grid is not None:
            return self.tokens.grid
        count = self.shape[0] - (self.tokens.prefix_tokens if self.tokens is not None else 0)
        side = math.isqrt(max(count, 0))
        return (side, side) if side and side**2 == count else None

    @property
    def pooled_width(self) -> int:
        """Number of values of an image once they are pooled over space."""
        return pooled_width(self.channels, self.layout, self.tokens)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the pooled values are, side by side; empty for a vector, which is not pooled."""
        return parts_of(self.layout, self.tokens)

    @property
    def bytes_per_image(self) -> int:
        """Size of the passing tensor for one image in half precision."""
        return 2 * math.prod(self.shape)


def without_norm(tokens: TokenReading | None) -> TokenReading | None:
    """Return the same reading of tokens that pass as they are."""
    return None if tokens is None else replace(tokens, norm=None, epsilon=0.0)


def parts_of(layout: Layout, tokens: TokenReading | None = None) -> tuple[Part, ...]:
    """Return what pooling puts side by side; nothing for a vector."""
    if layout == "NC":
        return ()
    return PLAIN if tokens is None else tokens.parts


def pooled_width(channels: int, layout: Layout, tokens: TokenReading | None = None) -> int:
    """Number of values that pooling gives for one image."""
    return channels * max(1, len(parts_of(layout, tokens)))


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
    - ``pretraining_size``: side of the images that the weights were trained on, where others were
      chosen that nobody asked for.
    """

    name: str
    input_size: int
    cuts: tuple[Cut, ...]
    last: Cut
    taps: tuple[str, ...]
    inner: tuple[Cut, ...] = ()
    work: Work = "depthwise"
    pretraining_size: int | None = None

    @property
    def feature_cuts(self) -> tuple[Cut, ...]:
        """The cuts up to ``last``: those that a new head can sit on."""
        return self.cuts[: self.last.index + 1]

    @property
    def stage_ends(self) -> tuple[Cut, ...]:
        """Ends of stages with layers above them, by depth."""
        ends = (cut for cut in self.feature_cuts if cut.stage_end)
        return tuple(cut for cut in ends if cut.position < self.last.position)

    @property
    def middle(self) -> Cut | None:
        """The end of a stage that divides the work most evenly; None where no stage ends."""
        return min(self.stage_ends, key=lambda cut: abs(cut.depth - _HALF), default=None)

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
