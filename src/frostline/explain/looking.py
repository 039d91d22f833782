"""One pass of some images through a trained classifier, for every picture that needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch.func import functional_call

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.heads.classifier import Classifier, SingleClassifier
from frostline.backbones.network import Network
from frostline.backbones.run_module import to_input
from frostline.backbones.taps import TapsBody
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.cancel import CancelToken
from frostline.explain.attribution import attribute, attribute_maps
from frostline.explain.depths import DepthPlan, Responses
from frostline.explain.drawing import UInt8Array

_BATCH = 16
#: cells a side, where parts of an image are covered one by one
_CELLS = 6

#: an image by its row, and the class to speak for
Wanted = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """What a look at some images has shown.

    ``heats``: shape (28, 28). ``note``: how the heat maps were found, when the usual way was
    closed. ``depths``: what excites each planned depth; empty when the classifier's layers are not
    the network's.
    """

    heats: dict[Wanted, FloatArray] = field(default_factory=dict)
    note: str = ""
    depths: list[Image.Image] = field(default_factory=list)


def look(
    network: Network,
    module: Classifier,
    pixels: Mapping[int, UInt8Array],
    wanted: Sequence[Wanted],
    plans: Sequence[DepthPlan],
    *,
    labels: IntArray,
    covering: float,
    cancel: CancelToken,
) -> Seen:
    """Run images through a classifier once; find heat maps and what depths respond to.

    Parameters
    ----------
    network : Network
        What the classifier was made from; it is only asked for its graph.
    module : Classifier
        The trained classifier.
    pixels : mapping of int to arrays of shape (size, size, 3), uint8
        Prepared images by row.
    wanted : sequence of (row, class)
        Heat maps to find; their rows are among ``pixels``.
    plans : sequence of DepthPlan
        Depths to draw, none of them deeper than the classifier's last cut.
    labels : int array
        Of all catalog rows.
    covering : float
        Multiply-accumulates that covering parts of images may take; fewer heat maps are found
        where that is the only way.
    cancel : CancelToken
    """
    sight = _sight(network, module.leader, plans)
    at_once = sight is not None and module.in_space and module.leader is module
    responses = [] if sight is None else [Responses(plan) for plan in plans]
    heats: dict[Wanted, FloatArray] = {}
    rows = list(pixels)
    if sight is not None and (responses or at_once):
        for start in range(0, len(rows), _BATCH):
            cancel.check()
            batch = rows[start : start + _BATCH]
            maps = sight.maps(
                to_input(np.stack([pixels[row] for row in batch]), network.preprocessing)
            )
            for one in responses:
                one.add(maps[one.plan.cut.name])
            if at_once:
                heats |= _heats(module.leader, maps, batch, wanted)
    note = ""
    if not at_once:
        heats, note = _heats_apart(network, module, pixels, wanted, covering, cancel)
    shown = list(pixels.values())
    return Seen(heats, note, [one.draw(shown, labels[rows]) for one in responses] if shown else [])


def _heats(
    module: SingleClassifier,
    maps: Mapping[str, torch.Tensor],
    batch: Sequence[int],
    wanted: Sequence[Wanted],
) -> dict[Wanted, FloatArray]:
    """Heat maps of those wanted images that are in a batch."""
    asked = [pair for pair in wanted if pair[0] in batch]
    if not asked:
        return {}
    places = [batch.index(row) for row, _ in asked]
    chosen = [maps[name][places] for name in module.cuts]
    with eval_mode(module):
        found = attribute_maps(module, chosen, [label for _, label in asked])
    return dict(zip(asked, found.heat, strict=True))


def _heats_apart(
    network: Network,
    module: Classifier,
    pixels: Mapping[int, UInt8Array],
    wanted: Sequence[Wanted],
    covering: float,
    cancel: CancelToken,
) -> tuple[dict[Wanted, FloatArray], str]:
    """Heat maps in a pass of their own, and how they were found."""
    if not module.in_space:
        runs = (_CELLS**2 + 1) * max(1, network.macs)
        wanted = wanted[: int(covering / runs)]
    heats: dict[Wanted, FloatArray] = {}
    note = ""
    for start in range(0, len(wanted), _BATCH):
        cancel.check()
        batch = wanted[start : start + _BATCH]
        images = to_input(np.stack([pixels[row] for row, _ in batch]), network.preprocessing)
        found = attribute(module, images, [label for _, label in batch], cells=_CELLS)
        heats |= dict(zip(batch, found.heat, strict=True))
        note = found.note
    return heats, note


class _Sight:
    """Maps at the cuts that a classifier reads from, and at some depths before.

    The graph is that of the network it came from, the tensors are those of the trained
    classifier; so nothing is copied, and nothing of the network changes.
    """

    def __init__(self, body: TapsBody, tensors: dict[str, torch.Tensor]) -> None:
        self._names, self._graph = list(body.slices), body.graph
        self._tensors = tensors

    def maps(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        with eval_mode(self._graph), torch.no_grad():
            found = functional_call(self._graph, self._tensors, (images,))
        return dict(zip(self._names, found, strict=True))


def _sight(network: Network, module: SingleClassifier, plans: Sequence[DepthPlan]) -> _Sight | None:
    """Put both into one graph; None for a classifier whose layers are not the network's own."""
    body = network.body(list(dict.fromkeys([*module.cuts, *(plan.cut.name for plan in plans)])))
    trained, needed = module.kept_layers.state_dict(), body.graph.state_dict()
    if not set(needed) <= set(trained):
        return None
    return _Sight(body, {name: trained[name] for name in needed})
