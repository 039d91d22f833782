"""How much labelled data there is."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.core.errors import InputError
from frostline.core.plan import SizeEvidence

#: fewer images than this are small, whatever the classes (the size of the VTAB-1k tasks)
SMALL_IMAGES = 1000
#: fewer images in the median class than this are small
SMALL_PER_CLASS = 20.0
#: large needs at least this many images ...
LARGE_IMAGES = 5000
#: ... and at least this many in the median class
LARGE_PER_CLASS = 100.0


def measure_size(labels: npt.ArrayLike, *, n_classes: int) -> SizeEvidence:
    """Count images and classes, and call the set small, medium or large.

    Raises InputError if there is no image, or a label lies outside [0, n_classes).

    ``labels``, shape (n,): in [0, n_classes), of the training images only. ``n_classes``: classes
    without an image count as classes of size 0.
    """
    found = np.asarray(labels)
    if found.ndim != 1 or found.size == 0:
        raise InputError("There is no labelled image to count.")
    if n_classes < 1 or found.min() < 0 or found.max() >= n_classes:
        raise InputError(f"Labels must lie in [0, {n_classes}).")
    return size_of(np.bincount(found, minlength=n_classes), n_images=int(found.size))


def size_of(counts: IntArray, *, n_images: int) -> SizeEvidence:
    """Call a set small, medium or large.

    ``counts``, shape (k,): how many images each class, label or number has something to learn from.
    """
    per_class = float(np.median(counts))
    return SizeEvidence(
        n_images=n_images,
        n_classes=len(counts),
        per_class=per_class,
        smallest_class=int(counts.min()),
        largest_class=int(counts.max()),
        label=_label(n_images, per_class),
    )


def _label(n_images: int, per_class: float) -> Literal["small", "medium", "large"]:
    if n_images < SMALL_IMAGES or per_class < SMALL_PER_CLASS:
        return "small"
    if n_images >= LARGE_IMAGES and per_class >= LARGE_PER_CLASS:
        return "large"
    return "medium"
