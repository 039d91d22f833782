"""Choose the cuts whose pooled activations are stored, and what of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from frostline.backbones.graph.cuts import TracedCut
from frostline.core.cuts import PLAIN, Part

MAX_TAPS = 10
#: columns of all taps together: what decides how long a fit in closed form takes
MAX_COLUMNS = 4608
#: parts of tokens are left out before fewer depths than this are looked at
_FEWEST_DEPTHS = 4

#: what tokens are read as, the fullest first: with a class token, and without
_WITH_CLASS: tuple[tuple[Part, ...], ...] = (
    ("class", "mean", "spread"),
    ("class", "mean"),
    ("mean",),
)
_WITHOUT: tuple[tuple[Part, ...], ...] = (PLAIN, ("mean",))


def choose_taps(
    cuts: Sequence[TracedCut],
    last_map: TracedCut,
    last: TracedCut,
    *,
    most_columns: int | None = None,
) -> tuple[str, ...]:
    """Return at most ``MAX_TAPS`` stage ends, spread over the depth, by depth.

    - ``cuts``: all of the network, by depth.
    - ``last_map``, ``last``: the deepest map, and what the last head sits on: always among them.
    - ``most_columns``: that they may have together; None for as many as there are.
    """
    always = [last_map] if last_map.name == last.name else [last_map, last]
    inner = [cut for cut in cuts if cut.stage_end and cut.position < last_map.position]
    most = MAX_TAPS - len(always)
    if most_columns is None:
        inner = _by_depth(inner, last_map, most)
    else:
        room = most_columns - sum(cut.pooled_width for cut in always)
        inner = _evenly(inner, most, room)
    return tuple(cut.name for cut in (*inner, *always))


def _by_depth(inner: list[TracedCut], last_map: TracedCut, most: int) -> list[TracedCut]:
    """Drop those whose neighbours lie closest together in depth; the first always stays."""
    left = list(inner)
    while len(left) > max(most, 1):
        ends = [0.0, *(cut.depth for cut in left), last_map.depth]
        gaps = [ends[i + 2] - ends[i] for i in range(1, len(left))]
        left.pop(1 + gaps.index(min(gaps)))
    return left


def _evenly(inner: list[TracedCut], most: int, room: int) -> list[TracedCut]:
    """Take as many as there is room for, evenly spaced: whatever the size of the images."""
    if len(inner) <= most and sum(cut.pooled_width for cut in inner) <= room:
        return inner
    for count in range(min(most, len(inner) - 1), 0, -1):
        places = ((i + 1) * len(inner) / (count + 1) for i in range(count))
        taken = [inner[int(place)] for place in places]
        if sum(cut.pooled_width for cut in taken) <= room:
            return taken
    return []


def choose_reading(
    cuts: Sequence[TracedCut],
    last_map: TracedCut,
    last: TracedCut,
    *,
    own: Part | None,
    most_columns: int,
) -> tuple[Part, ...]:
    """Return the fullest reading of tokens that leaves room for several depths.

    Takes what :func:`choose_taps` and :func:`read_as` do. The mean and spread of all that passes
    where no tokens are read.
    """
    told_apart = [cut.tokens for cut in cuts if cut.tokens]
    if not told_apart:
        return PLAIN
    readings = _WITH_CLASS if any(t.class_tokens for t in told_apart) else _WITHOUT
    for parts in readings:
        read = [read_as(cut, parts, last_map=last_map, own=own) for cut in cuts]
        by_name = {cut.name: cut for cut in read}
        ends = (by_name[last_map.name], by_name[last.name])
        taps = choose_taps(read, *ends, most_columns=most_columns)
        possible = choose_taps(read, *ends)
        width = sum(by_name[name].pooled_width for name in taps)
        if width <= most_columns and len(taps) >= min(_FEWEST_DEPTHS, len(possible)):
            return parts
    return readings[-1]


def read_as(
    cut: TracedCut, parts: Sequence[Part], *, last_map: TracedCut, own: Part | None
) -> TracedCut:
    """Return a cut whose tokens are read as these parts, as far as it has them.

    ``own``: what the network itself makes of the last map, which is a tap already: where room is
    short it is not taken twice.
    """
    tokens = cut.tokens
    if tokens is None:
        return cut
    short = "spread" not in parts and cut.name == last_map.name and len(parts) > 1
    has = [
        part
        for part in parts
        if (part != "class" or tokens.class_tokens) and not (short and part == own)
    ]
    return replace(cut, tokens=replace(tokens, parts=tuple(has)))
