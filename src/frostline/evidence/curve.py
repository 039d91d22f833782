"""What the last doubling of the data brought: leave-one-out accuracy on halves of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.evidence.needs import BoolArray, FloatArray, IntArray
from frostline.evidence.probes import ALL, probe

_HALVES = 3
# beyond this many rows one half says as much: its accuracy is sure to well under a point
_ONE_HALF_FROM = 5000


def half_of(labels: IntArray, groups: IntArray, *, seed: int, draw: int) -> BoolArray:
    """Draw half of the rows, stratified by class, with whole groups.

    Parameters
    ----------
    labels, groups : int arrays of shape (n,)
        A group belongs to the class of its first row.
    seed, draw : int
        The same pair always gives the same half.

    Returns
    -------
    bool ndarray of shape (n,)
    """
    rng = np.random.default_rng([seed, draw])
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    class_of_group = labels[first]
    chosen = np.zeros(len(first), dtype=bool)
    for label in np.unique(class_of_group):
        members = rng.permutation(np.flatnonzero(class_of_group == label))
        # an odd one out goes either way, so that rare classes are not always in or always out
        count = (len(members) + int(rng.integers(2))) // 2
        chosen[members[:count]] = True
    return chosen[codes]


def half_data_accuracy(
    features: npt.NDArray[np.floating],
    labels: IntArray,
    *,
    n_classes: int,
    groups: IntArray,
    blocks: Sequence[slice],
    seed: int,
    class_weights: FloatArray | None = None,
) -> float | None:
    """Return the mean leave-one-out accuracy with half of the rows.

    Three halves are averaged, or one where there are 5000 rows or more. None if a half is too
    small to leave anything out.
    """
    found = []
    for draw in range(_HALVES if len(labels) < _ONE_HALF_FROM else 1):
        half = half_of(labels, groups, seed=seed, draw=draw)
        if len(np.unique(groups[half])) < 2:
            continue
        fitted = probe(
            ALL,
            features[half],
            labels[half],
            n_classes=n_classes,
            groups=groups[half],
            blocks=blocks,
            class_weights=class_weights,
        )
        found.append(fitted.evidence.accuracy)
    return float(np.mean(found)) if found else None
