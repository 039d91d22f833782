"""What successive depths respond to: the patches of the user's images that excite a channel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.compute.features import Features
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.cuts import Cut
from frostline.data.splitting.sampling import chosen_rows
from frostline.explain.drawing import BETWEEN, UInt8Array, grid
from frostline.explain.responses import as_maps, depths

#: channels that are drawn, one a row, and patches of each
ROWS = 4
COLUMNS = 6
#: depths that are drawn
_DEPTHS = 4
#: side of a drawn patch, in pixels
_PATCH = 56
#: side of the smallest piece that is shown, in pixels of the image: less is a blot
_SMALLEST = 16

#: images whose stored features tell which excite a channel, at most
_SEARCHED = 2000
# channels that like the same images teach nothing new: above this correlation only one is shown
_ALIKE = 0.8


@dataclass(frozen=True)
class DepthPlan:
    """One depth that will be drawn.

    ``frozen``: whether the layers since the depth before were left as pretrained. ``channels``:
    what the stored features say is worth drawing; None where training has outdated them. ``rows``,
    shape (len(channels), k): images that excite each channel most, the most exciting first; empty
    where unknown.
    """

    cut: Cut
    frozen: bool
    channels: list[int] | None
    rows: IntArray


def plan_depths(
    features: Features,
    network: FrozenNetwork,
    *,
    upto: str,
    frozen: Collection[str],
    count: int = _DEPTHS,
) -> list[DepthPlan]:
    """Choose depths, and for frozen ones the channels and images, from stored features alone.

    ``upto``: the last cut that the classifier reads from. ``frozen``: tensors left as pretrained,
    by the network's own names.
    """
    found = depths(network, upto=upto, most=len(network.taps))
    places = np.linspace(0, len(found) - 1, count).round().astype(int).tolist() if found else []
    catalog = features.catalog
    kinds = catalog.target.strata(catalog.truth)
    searched = chosen_rows(features.catalog.digests, np.arange(len(features.catalog)), _SEARCHED)
    plans = []
    before: str | None = None
    untouched = True
    for cut in (found[place] for place in dict.fromkeys(places)):
        left = _left(network, before, cut.name, frozen)
        untouched = untouched and left
        before = cut.name
        channels, rows = None, np.zeros((0, 0), dtype=np.int64)
        if untouched:
            values = strengths(features.tap([cut.name], searched), cut)
            channels = discriminative_channels(values, kinds[searched])
            order = np.argsort(-values[:, channels], axis=0, kind="stable")[:COLUMNS]
            rows = searched[order.T]
        plans.append(DepthPlan(cut, left, channels, rows))
    return plans


def most_informative(plans: Sequence[DepthPlan], *, most: int) -> list[int]:
    """Return rows to look at: for the deeper half, the images that excite its channels most.

    Edges and colours, which shallow channels respond to, are in any image.
    """
    deep = [plan.rows for plan in plans[len(plans) // 2 :] if plan.rows.size]
    ranked = [
        rows[:, rank].tolist() for rank in range(COLUMNS) for rows in deep if rank < rows.shape[1]
    ]
    return list(dict.fromkeys(row for rows in ranked for row in rows))[:most]


def discriminative_channels(
    strengths: FloatArray, labels: IntArray, count: int = ROWS
) -> list[int]:
    """Return the channels that tell the classes apart best, none like another.

    A channel is judged by the share of its variance over images that lies between classes
    (correlation ratio). One channel for each favourite class comes first.

    ``strengths``, shape (n, C): how strongly every channel responds to every image. ``labels``:
    shape (n,).
    """
    deviations = strengths - strengths.mean(axis=0)
    total = np.square(deviations).sum(axis=0)
    alive = total > 1e-12 * max(float(total.max()), 1e-12)
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.zeros((len(sizes), len(labels)))
    members[codes, np.arange(len(labels))] = 1.0 / sizes[codes]
    means = members @ deviations
    between = (sizes[:, None] * means**2).sum(axis=0)
    ratio = np.where(alive, between / np.where(alive, total, 1.0), -1.0)
    favourite = means.argmax(axis=0)
    unit = deviations / np.sqrt(np.where(alive, total, 1.0))
    order = [int(c) for c in np.argsort(-ratio, kind="stable") if alive[c]]
    chosen: list[int] = []

    def fresh(channel: int, *, anyone: bool) -> bool:
        if channel in chosen or len(chosen) == count:
            return False
        taken = {int(favourite[other]) for other in chosen}
        if not anyone and int(favourite[channel]) in taken:
            return False
        return all(abs(float(unit[:, channel] @ unit[:, other])) < _ALIKE for other in chosen)

    for anyone in (False, True):
        for channel in order:
            if fresh(channel, anyone=anyone):
                chosen.append(channel)
    # few images make few different channels: fill up with the next ones
    chosen += [c for c in order if c not in chosen][: count - len(chosen)]
    return chosen or [0]


class Responses:
    """How strongly every channel responds to every image, and where most."""

    def __init__(self, plan: DepthPlan) -> None:
        self.plan = plan
        self._values: list[FloatArray] = []
        self._places: list[IntArray] = []
        self._sides = (1, 1)

    def add(self, passing: npt.NDArray[Any]) -> None:
        """Look at what passes at the cut for some more images."""
        maps = as_maps(passing, self.plan.cut)
        if self.plan.channels is not None:
            maps = maps[:, self.plan.channels]
        self._sides = (maps.shape[2], maps.shape[3])
        flat = maps.reshape(*maps.shape[:2], -1)
        # peaks saturate in many networks (ReLU6): all of a map tells more than its maximum
        strengths = flat.mean(axis=2) + flat.std(axis=2)
        self._values.append(strengths.astype(np.float64))
        self._places.append(_around(maps).reshape(flat.shape).argmax(axis=2))

    def draw(self, pixels: Sequence[UInt8Array], labels: IntArray) -> Image.Image:
        """Draw the patches that excite some channels most, a row a channel, one an image.

        ``pixels``, shape (size, size, 3): the prepared images, in the order they were looked at.
        ``labels``, shape (n,): of these images.
        """
        values, places = np.concatenate(self._values), np.concatenate(self._places)
        columns = min(COLUMNS, len(values))
        known = self.plan.channels is not None
        tiles = []
        for channel in range(values.shape[1]) if known else discriminative_channels(values, labels):
            strongest = np.argsort(-values[:, channel], kind="stable")[:columns]
            tiles += [self._patch(pixels[i], int(places[i, channel])) for i in strongest]
        return grid(tiles, columns, gap=2, background=BETWEEN)

    def _patch(self, pixels: UInt8Array, place: int) -> Image.Image:
        size = pixels.shape[0]
        height, width = self._sides
        row, column = divmod(place, width)
        field = self.plan.cut.receptive_field
        # units see far, but weigh the middle of what they see (Luo et al. 2016)
        side = min(max(_SMALLEST, size if field is None else field), max(_SMALLEST, size // 2))
        side = min(side, size)
        top = _start((row + 0.5) * size / height, side, size)
        left = _start((column + 0.5) * size / width, side, size)
        piece = Image.fromarray(pixels[top : top + side, left : left + side])
        return piece.resize((_PATCH, _PATCH), Image.Resampling.BICUBIC)


def _around(maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the mean of each value and those around it, over the last two axes."""
    for axis in (-2, -1):
        summed = maps.copy()
        moved, still = np.moveaxis(summed, axis, 0), np.moveaxis(maps, axis, 0)
        moved[1:] += still[:-1]
        moved[:-1] += still[1:]
        counts = np.full(len(moved), 3.0, dtype=maps.dtype)
        counts[0] -= 1
        counts[-1] -= 1
        moved /= counts.reshape(-1, *(1,) * (moved.ndim - 1))
        maps = summed
    return maps


def _left(network: FrozenNetwork, after: str | None, to: str, frozen: Collection[str]) -> bool:
    return set(frozen).issuperset(network.parameter_names(after, to))


def strengths(taps: npt.NDArray[np.float32], cut: Cut) -> FloatArray:
    """Mean plus spread over space, as :class:`Responses` has it, where both are stored."""
    values = taps.astype(np.float64)
    blocks = zip(cut.parts, np.split(values, len(cut.parts), axis=1), strict=True)
    # a class token says nothing of places
    return np.asarray(sum(block for part, block in blocks if part != "class"))


def _start(centre: float, side: int, size: int) -> int:
    return int(min(max(round(centre - side / 2), 0), size - side))
