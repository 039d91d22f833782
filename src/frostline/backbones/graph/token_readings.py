"""Tell which tokens at a cut are those of patches, and what they pass before they are pooled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from torch import nn

from frostline.backbones.families import Family, kind_of
from frostline.backbones.graph.cuts import TracedCut
from frostline.backbones.graph.measuring import Step
from frostline.core.cuts import Part, TokenReading

#: how often a network may halve the sides of its grid of patches
_HALVINGS = 4


def with_token_readings(
    cuts: Sequence[TracedCut],
    net: nn.Module,
    family: Family,
    steps: Sequence[Step],
    sides: tuple[int, int],
) -> list[TracedCut]:
    """Say of every cut with tokens (n, L, C) how they are read; other cuts stay as they are.

    ``sides``: height and width of the images.
    """
    if not family.prefix_tokens and family.final_norm is None:
        return list(cuts)
    norm, epsilon, normed = _final_norm(net, family, steps)
    found = []
    for cut in cuts:
        # a single token is a vector
        if cut.layout != "NLC" or not cut.is_map:
            found.append(cut)
            continue
        prefix, grid = _patches_at(cut.shape[0], family, sides)
        classes = min(family.class_tokens, prefix)
        parts: tuple[Part, ...] = ("class", "mean", "spread") if classes else ("mean", "spread")
        before = norm if cut.position < normed else None
        tokens = TokenReading(parts, prefix, classes, before, epsilon if before else 0.0, grid)
        found.append(replace(cut, tokens=tokens))
    return found


def _final_norm(
    net: nn.Module, family: Family, steps: Sequence[Step]
) -> tuple[Literal["layer", "rms"] | None, float, float]:
    """Return kind and epsilon of the norm behind the last block, and the step at which it ends."""
    if family.final_norm is None:
        return None, 0.0, math.inf
    layer: Any = net.get_submodule(family.final_norm)
    epsilon = getattr(layer, "eps", None)
    kind: Literal["layer", "rms"] = "rms" if kind_of(layer) == "rms" else "layer"
    places = [i for i, step in enumerate(steps) if family.final_norm in step.scopes]
    return kind, 1e-6 if epsilon is None else float(epsilon), max(places, default=math.inf)


def _patches_at(
    length: int, family: Family, sides: tuple[int, int]
) -> tuple[int, tuple[int, int] | None]:
    """Return how many tokens come before those of patches, and rows and columns of the patches.

    Some networks add the former late. The grid is None where it is unknown.
    """
    # with none before them first: of 9 tokens 5 may come before a grid of 2 x 2, but not of 3 x 3
    for prefix in dict.fromkeys((0, family.prefix_tokens)):
        for grid in _grids(family, sides):
            if length - prefix == math.prod(grid):
                return prefix, grid
    # of images that are not cut into patches of one size
    prefix = family.prefix_tokens
    side = math.isqrt(max(length - prefix, 0))
    if side and side**2 == length - prefix:
        return prefix, (side, side) if sides[0] == sides[1] else None
    return 0, None


def _grids(family: Family, sides: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Grids of patches that there may be, the finest first."""
    if family.patch is None:
        return
    height, width = (math.ceil(side / family.patch) for side in sides)
    for _ in range(_HALVINGS):
        yield height, width
        height, width = math.ceil(height / 2), math.ceil(width / 2)
