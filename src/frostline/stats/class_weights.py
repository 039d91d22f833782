"""Weights that let every class count alike, however many images it has."""

from __future__ import annotations

from typing import Literal

import numpy as np

from frostline.core.arrays import FloatArray, IntArray


def class_weights(
    labels: IntArray, *, n_classes: int, choice: Literal["none", "balanced"]
) -> FloatArray | None:
    """Return one weight a class, or None when all images count alike.

    A balanced weight is ``n / (C n_c)`` over the C classes that occur (King and Zeng 2001), so
    that all classes weigh the same and the mean weight of an image is 1.

    Parameters
    ----------
    labels : int array of shape (n,)
    choice : {"none", "balanced"}

    Returns
    -------
    ndarray of shape (n_classes,), float64, or None
        0 for a class that does not occur.
    """
    if choice == "none":
        return None
    counts = np.bincount(labels, minlength=n_classes)
    occurring = counts > 0
    weights = np.zeros(n_classes)
    weights[occurring] = len(labels) / (occurring.sum() * counts[occurring])
    return weights
