"""Where in an image a class found its evidence: the head's own sum, spread out over space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.cuts import Layout
from frostline.core.errors import InputError
from frostline.explain.drawing import UInt8Array
from frostline.stats.kernel_part import KernelPart

Float32Array = npt.NDArray[np.float32]

#: side of a heat map
GRID = 28

#: colour of what spoke for a class, and its share where it spoke most
_GLOW = (255, 112, 0)
_STRENGTH = 0.85
#: what pooling adds to a variance, so that its root has a slope everywhere
_TINY = 1e-12


@dataclass(frozen=True)
class Attribution:
    """Heat maps of some images, each for one class, label or number.

    - ``heat``, shape (n, 28, 28): in units of the logit; positive where a place spoke for the
      class, or raised the number.
    - ``complete``: True if every map adds up to what the image adds to the class's logit (less the
      mean logit of all classes, which changes no probability, unless each stands alone), which is
      that logit without its bias. For a blend these are the means over members of their logits
      divided by their temperatures.
    - ``note``: how it was found, when the usual way was closed; empty otherwise.
    """

    heat: FloatArray
    complete: bool
    note: str = ""


def attribute_maps(
    maps: Sequence[npt.NDArray[Any]],
    layouts: Sequence[Layout],
    weight: npt.NDArray[Any],
    targets: npt.ArrayLike,
    kernel: KernelPart | None = None,
    *,
    alone: bool = False,
) -> Attribution:
    """Say which places of some images spoke for a class of each, by a head on pooled maps.

    The head is linear in the mean and the spread of every channel over space, and both grow in
    proportion with the map. So activation times gradient, summed over channels, adds up exactly
    to the logit without its bias (Euler's theorem; HiResCAM, Draelos and Carin 2020). Grad-CAM
    averages the gradient over space first; that of the spread averages to zero, so half of the
    head would stay unseen. A head on several taps sums over them. Both gradients have a closed
    form, so nothing runs backwards. What a kernel adds counts by its slope at the image, and the
    map no longer adds up to the logit.

    Parameters
    ----------
    maps : sequence of float arrays (n, ...)
        What the head pools, at each of its cuts.
    layouts : sequence of {"NCHW", "NHWC"}
        Of the maps.
    weight : float array of shape (n_classes, d)
        Of the head: for each cut its channels' means, then their spreads.
    targets : int array of shape (n,)
        The class to speak for, of each image.
    kernel : KernelPart or None, default=None
        What the head adds to its linear outputs, on the same features as the weight.
    alone : bool, default=False
        Whether each output stands alone, as those of labels and numbers do. Of classes only what
        one has above the mean of all counts: the rest changes no probability.

    Raises
    ------
    InputError
        If there is not one class for each image.
    """
    n = len(maps[0])
    classes = checked_classes(targets, n)
    said = np.asarray(weight, dtype=np.float64)
    said = against_mean(said, alone=alone)[classes]
    if kernel is not None:
        said = said + kernel.slopes(_pooled(maps, layouts), classes, alone=alone)
    heat = np.zeros((n, GRID, GRID))
    begin = 0
    for one, layout in zip(maps, layouts, strict=True):
        channels = one.shape[1 if layout == "NCHW" else -1]
        of_mean = said[:, begin : begin + channels]
        of_spread = said[:, begin + channels : begin + 2 * channels]
        begin += 2 * channels
        heat += on_grid(
            np.stack(
                [
                    _of_one_map(one[i] if layout == "NCHW" else np.moveaxis(one[i], -1, 0), a, b)
                    for i, (a, b) in enumerate(zip(of_mean, of_spread, strict=True))
                ]
            )
        )
    return Attribution(heat, complete=kernel is None)


def against_mean(weight: FloatArray, *, alone: bool) -> FloatArray:
    """Return weights (k, d) of outputs less their mean, as far as that says nothing.

    Among classes what moves all alike changes no probability. ``alone``: labels and numbers have no
    such others.
    """
    return weight if alone else weight - weight.mean(axis=0)


def _pooled(maps: Sequence[npt.NDArray[Any]], layouts: Sequence[Layout]) -> FloatArray:
    """Return what the head reads: for each cut its channels' means, then their spreads."""
    parts = []
    for one, layout in zip(maps, layouts, strict=True):
        space = (2, 3) if layout == "NCHW" else (1, 2)
        for image in (
            one.mean(axis=space, dtype=np.float64),
            one.std(axis=space, dtype=np.float64),
        ):
            parts.append(image)
    return np.concatenate(parts, axis=1)


def occlude(
    logits: Callable[[Float32Array], npt.NDArray[Any]],
    images: Float32Array,
    targets: npt.ArrayLike,
    *,
    cells: int = 6,
    alone: bool = False,
) -> Attribution:
    """Cover one part of each image after the other with the image's mean colour.

    The heat of a cell is what the class's logit (less the mean of all) loses by it
    (Zeiler and Fergus 2014). It takes ``cells ** 2 + 1`` runs for each image.

    ``logits``: images (n, 3, h, w) to (n, n_classes). ``images``: shape (n, 3, h, w), normalised.
    ``targets``: shape (n,). ``cells``: cells a side. ``alone``: as for :func:`attribute_maps`.
    """
    classes = checked_classes(targets, len(images))
    edges = [
        np.linspace(0, side, cells + 1).round().astype(int).tolist() for side in images.shape[2:]
    ]
    lost = np.zeros((len(images), cells, cells))
    for i, image in enumerate(images):
        covered = np.repeat(image[None], cells * cells + 1, axis=0)
        mean = image.mean(axis=(1, 2))[:, None, None]
        for place in range(cells * cells):
            row, column = divmod(place, cells)
            high = slice(edges[0][row], edges[0][row + 1])
            wide = slice(edges[1][column], edges[1][column + 1])
            covered[place, :, high, wide] = mean
        found = np.asarray(logits(covered), dtype=np.float64)
        said = against_mean(found.T, alone=alone)[classes[i]]
        lost[i] = (said[-1] - said[:-1]).reshape(cells, cells)
    heat = _resampled(lost, _between)
    return Attribution(
        heat, complete=False, note="Heat: what covering a part of the image takes away."
    )


def draw_heat(pixels: UInt8Array, heat: FloatArray, *, side: int) -> Image.Image:
    """Draw a heat map over its image in grey: orange where it spoke for the class.

    Only what lies above the image's own mean is drawn, at the image's own full contrast.

    ``pixels``, shape (size, size, 3): the prepared image. ``heat``: shape (h, w). ``side``: of the
    picture, in pixels.
    """
    small = Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)
    grey = np.asarray(small.convert("L"), dtype=np.float64)[..., None]
    wide = Image.fromarray((heat - heat.mean()).astype(np.float32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    above = np.asarray(wide, dtype=np.float64)
    most = float(above.max())
    share = np.clip(above / most, 0, 1)[..., None] if most > 0 else np.zeros((side, side, 1))
    mixed = grey + _STRENGTH * share * (np.array(_GLOW) - grey)
    return Image.fromarray(mixed.round().astype(np.uint8))


def checked_classes(targets: npt.ArrayLike, n: int) -> IntArray:
    """Return classes (n,) as an array; raises InputError if there is not one for each image."""
    classes = np.asarray(targets, dtype=np.int64)
    if classes.shape != (n,):
        raise InputError(f"There are {n} images, but classes of shape {classes.shape}.")
    return classes


def _of_one_map(values: npt.NDArray[Any], of_mean: FloatArray, of_spread: FloatArray) -> FloatArray:
    """Activation times gradient of one image, summed over channels: (C, h, w) to (h, w)."""
    channels, height, width = values.shape
    # by the image: a batch of first maps in double precision takes hundreds of megabytes
    flat = values.reshape(channels, -1).astype(np.float64)
    centred = flat - flat.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=1) + _TINY)
    heat = of_mean @ flat + (of_spread / spread) @ (flat * centred)
    return np.asarray(heat.reshape(height, width) / (height * width))


def on_grid(values: FloatArray) -> FloatArray:
    """Bring maps (n, h, w) to (n, GRID, GRID) and keep their sums."""
    height, width = values.shape[1:]
    fine = height >= GRID and width >= GRID
    spread = _resampled(values, _means if fine else _between) * (height * width / GRID**2)
    missing = values.sum(axis=(1, 2)) - spread.sum(axis=(1, 2))
    return np.asarray(spread + missing[:, None, None] / GRID**2)


def _resampled(values: FloatArray, way: Callable[[int], FloatArray]) -> FloatArray:
    """Bring maps (n, h, w) to (n, GRID, GRID), rows and columns in the same way."""
    return np.asarray(way(values.shape[1]) @ values @ way(values.shape[2]).T)


def _means(side: int) -> FloatArray:
    """Weights (GRID, side) that average the values which fall into each cell."""
    weights = np.zeros((GRID, side))
    for cell in range(GRID):
        begin, end = cell * side // GRID, -(-(cell + 1) * side // GRID)
        weights[cell, begin:end] = 1.0 / (end - begin)
    return weights


def _between(side: int) -> FloatArray:
    """Weights (GRID, side) of linear interpolation between the middles of values."""
    at = np.clip((np.arange(GRID) + 0.5) * side / GRID - 0.5, 0, side - 1)
    low = np.minimum(np.floor(at).astype(int), max(side - 2, 0))
    weights = np.zeros((GRID, side))
    rows = np.arange(GRID)
    weights[rows, np.minimum(low + 1, side - 1)] = at - low
    weights[rows, low] += 1.0 - (at - low)
    return weights
