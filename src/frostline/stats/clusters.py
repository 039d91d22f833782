"""Divide numbers or colours into a few clusters, always the same way."""

from __future__ import annotations

import numpy as np

from frostline.core.arrays import FloatArray, IntArray

#: of the variance that clusters have to explain; as many are made as that takes, up to the most
_EXPLAINED = 0.9
_FEWEST, _MOST = 2, 6
#: clusters of values that have none
_OTHERWISE = 4
_ROUNDS = 30


def clusters(values: FloatArray) -> IntArray:
    """Return the number of each row's cluster, shape (n,), in the order of their means.

    As few clusters as explain nine tenths of the variance (Lloyd 1982, begun from the rows that lie
    farthest apart); four where even six do not.

    ``values``: shape (n, d), all in one unit.
    """
    total = float(np.square(values - values.mean(axis=0)).sum())
    if total <= 0.0:
        return np.zeros(len(values), dtype=np.int64)
    found: dict[int, IntArray] = {}
    most = min(_MOST, len(np.unique(values, axis=0)))
    for k in range(_FEWEST, most + 1):
        found[k], within = _lloyd(values, k)
        if within <= (1.0 - _EXPLAINED) * total:
            return _ordered(values, found[k])
    return _ordered(values, found[min(_OTHERWISE, most)])


def _lloyd(values: FloatArray, k: int) -> tuple[IntArray, float]:
    centres = [values.mean(axis=0)]
    distance = np.square(values - centres[0]).sum(axis=1)
    centres = [values[int(distance.argmax())]]
    for _ in range(k - 1):
        nearest = np.min([np.square(values - one).sum(axis=1) for one in centres], axis=0)
        centres.append(values[int(nearest.argmax())])
    middle = np.array(centres)
    codes = np.full(len(values), -1, dtype=np.int64)
    apart = np.zeros((len(values), k))
    for _ in range(_ROUNDS):
        apart = np.square(values[:, None] - middle[None]).sum(axis=2)
        new = apart.argmin(axis=1).astype(np.int64)
        if np.array_equal(new, codes):
            break
        codes = new
        for c in np.unique(codes).tolist():
            middle[c] = values[codes == c].mean(axis=0)
    return codes, float(apart.min(axis=1).sum())


def _ordered(values: FloatArray, codes: IntArray) -> IntArray:
    numbers = np.unique(codes)
    means = [float(values[codes == c].mean()) for c in numbers]
    place = np.empty(len(numbers), dtype=np.int64)
    place[np.argsort(means, kind="stable")] = np.arange(len(numbers))
    found: IntArray = place[np.searchsorted(numbers, codes)]
    return found
