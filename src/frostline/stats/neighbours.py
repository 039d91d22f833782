"""Nearest neighbours with the row itself left out: a second opinion that fits nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.inputs import check_features, check_targets, group_codes, row_chunks
from frostline.stats.target_matrix import TargetMatrix

# temperature of the votes, as in the k-NN evaluation of Wu et al. 2018 (arXiv 1805.01978)
_TEMPERATURE = 0.07
_MOST_NEIGHBOURS = 20


def knn_loo(
    X: npt.ArrayLike,
    targets: TargetMatrix,
    *,
    k: int | None = None,
    groups: npt.ArrayLike | None = None,
) -> FloatArray:
    """Let the nearest other rows vote for the targets of every row.

    Rows are centred and compared by cosine; a neighbour's vote is ``exp(cosine / 0.07)``. Raises
    InputError if shapes or values are wrong, a feature is not finite, or ``k`` is below 1.

    Parameters
    ----------
    X : array of shape (n, d)
    targets : TargetMatrix of shape (n, C)
        Shares, so that every row sums to 1.
    k : int or None
        Neighbours that vote; None takes 20, or one less than the smallest column sum if
        that is fewer (at least 1).
    groups : array of shape (n,) or None
        Rows of one group never vote for each other.

    Returns
    -------
    ndarray of shape (n, C), float64
        Shares of the votes; every row sums to 1.
    """
    features = np.asarray(check_features(X))
    n = len(features)
    check_targets(targets, n_rows=n)
    codes = group_codes(groups, n_rows=n)
    counts = targets.weighted_sum(np.ones(n))
    if k is None:
        k = max(1, min(_MOST_NEIGHBOURS, int(counts[counts > 0].min()) - 1))
    if k < 1:
        raise InputError(f"The number of neighbours must be at least 1, not {k}.")
    k = min(k, n - 1)
    directions = _unit_rows(features)
    votes = np.zeros((n, targets.n_columns))
    for rows in row_chunks(n):
        cosine = directions[rows] @ directions.T
        cosine[codes[rows, None] == codes[None, :]] = -np.inf
        nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        closeness = np.take_along_axis(cosine, nearest, axis=1).astype(np.float64)
        # relative to the nearest one, which is finite: every row has a row outside its group
        weight = np.exp((closeness - closeness.max(axis=1, keepdims=True)) / _TEMPERATURE)
        # one neighbour at a time: a chunk of all of them would be k times as large
        for place in range(k):
            votes[rows] += weight[:, place, None] * targets.rows(nearest[:, place])
    shares: FloatArray = votes / votes.sum(axis=1, keepdims=True)
    return shares


def _unit_rows(features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return centred rows of length 1 (0 for a row at the centre), in float32."""
    mean = features.mean(axis=0, dtype=np.float64)
    if not np.all(np.isfinite(mean)):
        raise InputError("Features hold values that are not finite numbers.")
    directions = np.empty(features.shape, dtype=np.float32)
    for rows in row_chunks(len(features)):
        centred = features[rows] - mean
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        directions[rows] = centred / np.where(length > 0, length, 1.0)
    return directions
