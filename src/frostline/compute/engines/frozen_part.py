"""The parts of a frozen network that engines run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from frostline.backbones.network import Network
from frostline.compute.cache.fact import digest_of
from frostline.core.preprocessing import Preprocessing


@dataclass(frozen=True)
class FrozenPart:
    """A part of a network that nobody will change while it is used.

    ``module``: normalised float32 images (n, 3, size, size) to one float tensor (n, ...). ``key``:
    stands for the weights, the preprocessing and what the module computes. ``blocks``: columns that
    are compared on their own when two engines are checked against each other; empty: the whole
    result is one block.
    """

    module: nn.Module
    preprocessing: Preprocessing
    key: str
    blocks: tuple[slice, ...] = ()


def part_key(network: Network, what: str, names: Sequence[str]) -> str:
    """Return what stands for a part's weights, its preprocessing and what it computes."""
    return digest_of([network.weights_id, network.preprocessing, what, list(names)])


def taps_part(network: Network, taps: Sequence[str]) -> FrozenPart:
    """Return the part that gives the pooled activations at ``taps``, side by side."""
    body = network.body(taps)
    key = part_key(network, "taps", list(body.slices))
    return FrozenPart(body, network.preprocessing, key, tuple(body.slices.values()))


def prefix_part(network: Network, cut: str) -> FrozenPart:
    """Return the part from the image to the activations at ``cut``."""
    name = network.cut(cut).name
    key = part_key(network, "prefix", [name])
    return FrozenPart(network.prefix(name), network.preprocessing, key)
