"""One pass of some images through a trained classifier, for every picture that needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import EngineError
from frostline.core.preprocessing import UInt8Array
from frostline.core.runtime import Runtime
from frostline.explain.attribution import Attribution, attribute_maps, occlude
from frostline.explain.depths import DepthPlan, Responses
from frostline.explain.sight import Array, OnnxSight, Sight, has_graph, onnx_logits

if TYPE_CHECKING:
    from frostline.backbones.heads.fitted_classifier import (
        FittedClassifier,
        SingleFittedClassifier,
    )

# maps at all taps of 16 images take half a gigabyte, and no less time
_BATCH = 4
#: cells a side, where parts of an image are covered one by one
_CELLS = 6
#: what following an answer back takes, in runs of the network
_BACK = 3

#: an image by its row, and the class, label or column to speak for
Wanted = tuple[int, int]


@dataclass(frozen=True)
class HeatRules:
    """How heat maps are found.

    ``covering``: multiply-accumulates that covering parts of images may take; fewer maps are found
    where that is the only way. ``alone``: whether each output stands alone, see
    :func:`frostline.explain.attribution.attribute_maps`.
    """

    covering: float
    alone: bool = False


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
    network: FrozenNetwork,
    classifier: FittedClassifier,
    pixels: Mapping[int, UInt8Array],
    wanted: Sequence[Wanted],
    plans: Sequence[DepthPlan],
    *,
    labels: IntArray,
    heats: HeatRules,
    runtime: Runtime,
) -> Seen:
    """Run images through a classifier once; find heat maps and what depths respond to.

    Parameters
    ----------
    network : FrozenNetwork
        What the classifier was made from; it is only asked for its graph.
    classifier : FittedClassifier
        The trained classifier.
    pixels : mapping of int to arrays of shape (size, size, 3), uint8
        Prepared images by row.
    wanted : sequence of (row, output)
        Heat maps to find; their rows are among ``pixels``.
    plans : sequence of DepthPlan
        Depths to draw, none of them deeper than the classifier's last cut.
    labels : int array
        Of all catalog rows.
    heats : HeatRules
    runtime : Runtime
    """
    sight = _sight(network, classifier.leader, plans, runtime)
    at_once = sight is not None and classifier.in_space and classifier.leader is classifier
    responses = [] if sight is None else [Responses(plan) for plan in plans]
    found: dict[Wanted, FloatArray] = {}
    rows = list(pixels)
    if sight is not None and (responses or at_once):
        for start in range(0, len(rows), _BATCH):
            runtime.cancel.check()
            batch = rows[start : start + _BATCH]
            maps = sight.maps(np.stack([pixels[row] for row in batch]))
            for one in responses:
                one.add(maps[one.plan.cut.name])
            if at_once:
                found |= _heats(classifier.leader, maps, batch, wanted, alone=heats.alone)
    note = ""
    if not at_once:
        # what finds the maps holds the network's weights again
        sight = None
        found, note = _heats_apart(network, classifier, pixels, wanted, heats, runtime)
    shown = list(pixels.values())
    return Seen(found, note, [one.draw(shown, labels[rows]) for one in responses] if shown else [])


def _heats(
    classifier: SingleFittedClassifier,
    maps: Mapping[str, Array],
    batch: Sequence[int],
    wanted: Sequence[Wanted],
    *,
    alone: bool,
) -> dict[Wanted, FloatArray]:
    """Heat maps of those wanted images that are in a batch."""
    asked = [pair for pair in wanted if pair[0] in batch]
    if not asked:
        return {}
    places = [batch.index(row) for row, _ in asked]
    chosen = [maps[name][places] for name in classifier.cuts]
    if classifier.new_block:
        from frostline.backbones.heads.as_module import as_module
        from frostline.explain.torch_attribution import behind_new_block

        chosen = behind_new_block(as_module(classifier).leader, chosen)
    labels = [label for _, label in asked]
    weight, _ = classifier.head_weights()
    found = attribute_maps(
        chosen, classifier.layouts, weight, labels, classifier.head_kernel(), alone=alone
    )
    return dict(zip(asked, found.heat, strict=True))


def _heats_apart(
    network: FrozenNetwork,
    classifier: FittedClassifier,
    pixels: Mapping[int, UInt8Array],
    wanted: Sequence[Wanted],
    rules: HeatRules,
    runtime: Runtime,
) -> tuple[dict[Wanted, FloatArray], str]:
    """Heat maps in a pass of their own, and how they were found."""
    heats: dict[Wanted, FloatArray] = {}
    note = ""
    if not wanted:
        return heats, note
    way = _way(network, classifier, runtime, alone=rules.alone)
    if way.runs is not None:
        wanted = wanted[: int(rules.covering / (way.runs * max(1, network.macs)))]
    for start in range(0, len(wanted), _BATCH):
        runtime.cancel.check()
        batch = wanted[start : start + _BATCH]
        found = way.attribute(
            np.stack([pixels[row] for row, _ in batch]), [label for _, label in batch]
        )
        heats |= dict(zip(batch, found.heat, strict=True))
        note = found.note
    return heats, note


@dataclass(frozen=True)
class _Way:
    """What finds heat maps of prepared images for one class of each.

    ``runs``: through the network for one image; None where that is not to be counted.
    """

    attribute: Callable[[UInt8Array, Sequence[int]], Attribution]
    runs: int | None


def _way(
    network: FrozenNetwork, classifier: FittedClassifier, runtime: Runtime, *, alone: bool
) -> _Way:
    """Return the way to heat maps that takes least, of those that are open."""
    if classifier.in_space:
        return _in_pytorch(network, classifier, runs=None, alone=alone)
    try:
        followed = _followed_back(network, classifier, runtime, alone=alone)
    except EngineError:
        # an operator that nothing can be followed back through
        followed = None
    if followed is not None:
        return _Way(followed, _BACK)
    leader = classifier.leader
    if leader is not classifier or not leader.frozen or not has_graph(network, leader.cuts):
        return _in_pytorch(network, classifier, runs=_CELLS**2 + 1, alone=alone)
    logits = onnx_logits(network, leader, threads=runtime.threads)

    def covered(pixels: UInt8Array, classes: Sequence[int]) -> Attribution:
        images = network.preprocessing.normalise(pixels)
        return occlude(logits, images, classes, cells=_CELLS, alone=alone)

    return _Way(covered, _CELLS**2 + 1)


def _in_pytorch(
    network: FrozenNetwork, classifier: FittedClassifier, runs: int | None, *, alone: bool
) -> _Way:
    from frostline.backbones.heads.as_module import as_module
    from frostline.explain.torch_attribution import attribute_pixels

    module = as_module(classifier)
    way = partial(attribute_pixels, module, network.preprocessing, cells=_CELLS, alone=alone)
    return _Way(way, runs)


def _followed_back(
    network: FrozenNetwork, classifier: FittedClassifier, runtime: Runtime, *, alone: bool
) -> Callable[[UInt8Array, Sequence[int]], Attribution] | None:
    """Return what follows every head back through its network; None where layers are not its own.

    Raises EngineError for a network that cannot be followed back through.
    """
    if not all(_is_of(network, one) for one, _ in classifier.averaged):
        return None
    from frostline.explain.token_attribution import TokenAttribution

    # of a blend the means over members of their maps, each divided by its temperature
    members = [
        (TokenAttribution(network, one, threads=runtime.threads, alone=alone), temperature)
        for one, temperature in classifier.averaged
    ]

    def followed(pixels: UInt8Array, classes: Sequence[int]) -> Attribution:
        found = [(one(pixels, classes), temperature) for one, temperature in members]
        heats = [one.heat / temperature for one, temperature in found]
        heat = np.average(heats, axis=0, weights=classifier.shares)
        return replace(found[0][0], heat=heat)

    return followed


def _is_of(network: FrozenNetwork, classifier: SingleFittedClassifier) -> bool:
    """Whether a classifier's layers are those of the network, which has a graph of them."""
    if classifier.new_block or not has_graph(network, classifier.cuts):
        return False
    deepest = max(classifier.cuts, key=lambda name: network.cut(name).position)
    return classifier.kept_tensors().keys() >= set(network.parameter_names(to=deepest))


def _sight(
    network: FrozenNetwork,
    classifier: SingleFittedClassifier,
    plans: Sequence[DepthPlan],
    runtime: Runtime,
) -> Sight | None:
    """Maps at the cuts that a classifier reads from, and at some depths before.

    The graph is that of the network it came from, the tensors are those of the trained
    classifier. None for a classifier whose layers are not the network's own.
    """
    names = list(dict.fromkeys([*classifier.cuts, *(plan.cut.name for plan in plans)]))
    if has_graph(network, names):
        tensors = classifier.kept_tensors()
        deepest = max(names, key=lambda name: network.cut(name).position)
        if not tensors.keys() >= set(network.parameter_names(to=deepest)):
            return None
        return OnnxSight(network, names, tensors, threads=runtime.threads)
    from frostline.backbones.heads.as_module import as_module
    from frostline.explain.torch_sight import torch_sight

    return torch_sight(network, as_module(classifier).leader, names)
