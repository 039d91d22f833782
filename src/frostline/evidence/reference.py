"""A stand-in for the shift where no norm layer remembers what pretraining looked like.

Two ordinary photos lie in ``photos/``. Crops of them are what the target images are compared
with, at every tap. Two photos are no ImageNet: this tells photos from X-rays, hardly photos from
drawings, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
from PIL import Image

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.core.plan import LayerShift, ShiftEvidence
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.core.rng import generator
from frostline.evidence.shift import N_RESAMPLES, resamples, thirds
from frostline.stats.selection import Features

#: crops of the reference photos
N_CROPS = 96
#: images that are compared with them, at most: their mean is sure to a sixtieth of their spread
MOST_IMAGES = 4096
# On EfficientNet-Lite0: eight kinds of photo 0.27 to 0.62, all of them together 0.29; ten kinds
# of clip art 0.49 to 0.68, together 0.48; solar cells 1.74; upscaled digits 2.2.
SIMILAR_BELOW = 0.45
DIFFERENT_FROM = 1.1

#: their licence lies beside them
_PHOTOS = ("china.jpg", "flower.jpg")
_LEAST_SIDE = 0.25
_DEAD = 1e-3
_INTERVAL = (0.025, 0.975)


@cache
def reference_crops(preprocessing: Preprocessing) -> UInt8Array:
    """Return square crops of two photos, (96, size, size, 3): the same ones every time."""
    rng = np.random.default_rng(0)
    photos = [_read(name) for name in _PHOTOS]
    found = []
    for number in range(N_CROPS):
        photo = photos[number % len(photos)]
        height, width = photo.shape[:2]
        side = int(min(height, width) * rng.uniform(_LEAST_SIDE, 1.0))
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        crop = Image.fromarray(photo[top : top + side, left : left + side])
        found.append(np.asarray(preprocessing.apply(crop)))
    return np.stack(found)


def _read(name: str) -> UInt8Array:
    path = resources.files("frostline.evidence") / "photos" / name
    with path.open("rb") as stream, Image.open(stream) as image:
        return np.asarray(image.convert("RGB"))


def shift_from_reference(
    target: Features,
    reference: npt.NDArray[np.floating],
    slices: Mapping[str, slice],
    *,
    seed: int = 0,
) -> ShiftEvidence:
    """Compare pooled taps of the images with those of ordinary photos.

    A channel's shift is the squared difference of means, less what sampling adds to it, in units of
    the summed variances; a tap's is the mean over its channels, the distance that over taps. Raises
    InputError if there are fewer than two images.

    - ``target``, shape (m, D): taps of training images; at least two. Beyond 4,096 a sample of them
      is compared.
    - ``reference``, shape (r, D): taps of :func:`reference_crops`.
    - ``slices``: columns of every tap, by depth.
    - ``seed``: for the bootstrap over images.
    """
    if len(target) < 2:
        raise InputError("Shift needs at least two images.")
    rows = generator("reference rows", seed).permutation(len(target))[:MOST_IMAGES]
    t, r = target[np.sort(rows)].astype(np.float64), reference.astype(np.float64)
    layers = []
    resampled = np.zeros(N_RESAMPLES)
    weights = resamples(len(t), seed=seed)
    for name, columns in slices.items():
        layer, again = _layer(name, t[:, columns], r[:, columns], weights)
        layers.append(layer)
        resampled += again / len(slices)
    shifts = np.array([layer.shift for layer in layers])
    distance = float(shifts.mean())
    low, high = np.quantile(resampled - resampled.mean(), _INTERVAL) + distance
    early, middle, late = thirds(shifts)
    return ShiftEvidence(
        measure="reference photos",
        n_images=len(t),
        distance=distance,
        interval=(float(low), float(high)),
        relative=None,
        early=early,
        middle=middle,
        late=late,
        kind="unknown",
        label="similar"
        if distance < SIMILAR_BELOW
        else "different"
        if distance >= DIFFERENT_FROM
        else "moderate",
        layers=layers,
        warnings=[
            "This network stores no statistics of its pretraining images, so they were compared "
            "with crops of two ordinary photos: enough to tell photos from X-rays, hardly photos "
            "from drawings."
        ],
    )


def _layer(
    name: str, target: FloatArray, reference: FloatArray, weights: npt.NDArray[np.integer]
) -> tuple[LayerShift, FloatArray]:
    spread_t, spread_r = target.var(axis=0, ddof=1), reference.var(axis=0, ddof=1)
    alive = spread_r > _DEAD * np.median(spread_r)
    if not alive.any():
        return LayerShift(layer=name, shift=0.0, shift_median=0.0, kl=0.0), np.zeros(len(weights))
    t, mean_r = target[:, alive], reference[:, alive].mean(axis=0)
    spread_t, spread_r = spread_t[alive], spread_r[alive]
    noise = spread_t / len(t) + spread_r / len(reference)
    scale = spread_t + spread_r
    channels = ((t.mean(axis=0) - mean_r) ** 2 - noise) / scale
    means = weights @ t / len(t)
    again = (((means - mean_r) ** 2 - noise) / scale).mean(axis=1)
    ratio = np.clip(spread_t / spread_r, 1e-4, 1e4)
    kl = 0.5 * (ratio + (t.mean(axis=0) - mean_r) ** 2 / spread_r - 1.0 - np.log(ratio))
    layer = LayerShift(
        layer=name,
        shift=float(channels.mean()),
        shift_median=float(np.median(channels)),
        kl=float(kl.mean()),
    )
    return layer, again
