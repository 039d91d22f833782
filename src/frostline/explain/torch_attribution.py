"""Heat maps of classifiers of PyTorch: blends, new layers, and networks without maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.heads.classifier import Classifier, Maps, SingleClassifier
from frostline.backbones.run_module import to_input
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.explain.attribution import (
    Attribution,
    Float32Array,
    attribute_maps,
    checked_classes,
    occlude,
)


def attribute(
    module: Classifier,
    images: torch.Tensor,
    targets: npt.ArrayLike,
    *,
    cells: int = 6,
    alone: bool = False,
) -> Attribution:
    """Say which places of some images spoke for a class of each.

    Heads on maps are asked by :func:`frostline.explain.attribution.attribute_maps`; a blend takes
    the mean of its members' maps by weight, each divided by its member's temperature. Tokens and
    vectors have no such place in space; there, parts of the image are covered one by one
    (:func:`frostline.explain.attribution.occlude`). Raises InputError if there is not one class
    for each image.

    ``images``, shape (n, 3, size, size): normalised. ``targets``, shape (n,): the class to speak
    for, of each image. ``cells``: cells a side where parts are covered. ``alone``: as for
    :func:`frostline.explain.attribution.attribute_maps`.
    """
    classes = checked_classes(targets, len(images))
    if not module.in_space:
        return cover(module, images, classes, cells=cells, alone=alone)
    heats, complete = [], True
    with eval_mode(module), torch.no_grad():
        for member, temperature in module.averaged:
            maps = _pooled_maps(member, member.feature_maps(images))
            weight, _ = member.head_weights()
            kernel = member.head_kernel()
            found = attribute_maps(maps, member.layouts, weight, classes, kernel, alone=alone)
            complete = complete and found.complete
            heats.append(found.heat / temperature)
    average = np.average(heats, axis=0, weights=module.shares)
    return Attribution(average, complete=complete)


def attribute_pixels(
    module: Classifier,
    preprocessing: Preprocessing,
    pixels: UInt8Array,
    targets: npt.ArrayLike,
    *,
    cells: int,
    alone: bool = False,
) -> Attribution:
    """As :func:`attribute`, for prepared images (n, size, size, 3)."""
    return attribute(module, to_input(pixels, preprocessing), targets, cells=cells, alone=alone)


def cover(
    module: nn.Module,
    images: torch.Tensor,
    targets: npt.ArrayLike,
    *,
    cells: int = 6,
    alone: bool = False,
) -> Attribution:
    """Cover parts of images, see :func:`frostline.explain.attribution.occlude`.

    ``module``: images (n, 3, size, size) to logits. ``images``: normalised.
    """

    def logits(batch: Float32Array) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = module(torch.from_numpy(batch)).float().numpy()
        return found

    with eval_mode(module), torch.no_grad():
        return occlude(logits, images.numpy(), targets, cells=cells, alone=alone)


def behind_new_block(
    module: SingleClassifier, maps: Sequence[npt.NDArray[Any]]
) -> list[npt.NDArray[Any]]:
    """Return what the head pools, for maps at the classifier's cuts."""
    with eval_mode(module), torch.no_grad():
        return _pooled_maps(module, [torch.from_numpy(one) for one in maps])


def _pooled_maps(module: SingleClassifier, maps: Maps) -> list[npt.NDArray[Any]]:
    return [one.detach().float().numpy() for one in module.behind_new_block(maps)]
