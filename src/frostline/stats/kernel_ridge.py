"""Ridge regression on a Cauchy kernel with exact leave-one-out outputs.

The kernel is that between principal components of the standardised features and some landmarks
among the rows (Nystroem features: Williams and Seeger 2001), so that rows are compared with a few
thousand others at most, however many there are. Components, landmarks and the width use no label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.rng import generator
from frostline.stats.inputs import check_features, row_chunks
from frostline.stats.kernel_part import KernelPart, closeness, squared_distances
from frostline.stats.ridge import FLOOR, ridge_loo
from frostline.stats.selection import Features
from frostline.stats.standardise import fit_standardiser
from frostline.stats.target_matrix import TargetMatrix

#: rows that components are found on, components, and landmarks, at most
_ROWS, _COMPONENTS, _LANDMARKS = 1000, 256, 2048
#: directions with a smaller share of the largest eigenvalue are rounding
_FLAT = 1e-8
#: squared distances at which the kernel is half as large as at 0, in the median of all pairs
_HALF = 0.25


@dataclass(frozen=True)
class KernelRidge:
    """A fit with its leave-one-out outputs.

    ``part``: without the intercept, which is ``bias``, shape (C,). ``loo`` and ``fitted``: shape
    (n, C), as of :class:`frostline.stats.ridge.RidgeLOO`.
    """

    part: KernelPart
    bias: FloatArray
    loo: FloatArray
    fitted: FloatArray


def kernel_ridge(
    X: npt.ArrayLike,
    targets: TargetMatrix,
    *,
    blocks: Sequence[slice],
    groups: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    seed: int,
) -> KernelRidge:
    """Fit ridge regression on a Cauchy kernel, half as high at half the median distance as at 0.

    Raises InputError if shapes or values are wrong.

    - ``X``, shape (n, d): raw features. ``targets``: shape (n, C).
    - ``blocks``: columns of each tap, by depth; the deeper half of the taps is looked at.
    - ``groups`` and ``weights``: as for :func:`frostline.stats.ridge.ridge_loo`.
    - ``seed``: of the choice of rows, where there are more than are needed.
    """
    features = check_features(X)
    empty, chosen = _landmarks(features, blocks, seed)
    among = closeness(empty.landmarks, empty.landmarks)
    # rows that are alike would leave nothing to divide by
    among[np.diag_indices_from(among)] += _FLAT
    root = np.linalg.cholesky(among)
    if len(chosen) == len(features):
        values = root
    else:
        values = np.empty((len(features), len(root)))
        for rows in row_chunks(len(features)):
            near = closeness(empty.components(features[rows]), empty.landmarks)
            values[rows] = np.linalg.solve(root, near.T).T
    fit = ridge_loo(values, targets, groups=groups, weights=weights, standardise=False)
    part = replace(empty, weight=np.linalg.solve(root.T, fit.weight))
    return KernelRidge(part, fit.bias, fit.loo, fit.fitted)


def _landmarks(
    features: Features, blocks: Sequence[slice], seed: int
) -> tuple[KernelPart, npt.NDArray[np.int64]]:
    """Return a part without weights, and which rows are its landmarks, in order."""
    n = len(features)
    standardiser = fit_standardiser(features, blocks=blocks, floor=FLOOR)
    deep = np.arange(features.shape[1]) >= blocks[len(blocks) // 2].start
    standardiser = replace(standardiser, scale=deep * standardiser.scale)
    order = generator("landmarks", seed, n).permutation(n)
    some = np.sort(order[:_ROWS])
    values = standardiser.apply(features, some)
    eigenvalues, vectors = np.linalg.eigh(values @ values.T)
    # where all rows are alike, components that say nothing are left
    kept = np.flatnonzero(eigenvalues >= _FLAT * eigenvalues[-1])[-_COMPONENTS:]
    axes = values.T @ (vectors[:, kept] / np.sqrt(np.maximum(eigenvalues[kept], _FLAT)))
    found = values @ axes
    apart = squared_distances(found, found)
    usual = float(np.median(apart[np.triu_indices(len(apart), 1)])) or float(apart.max()) or 1.0
    axes /= np.sqrt(_HALF * usual)
    project, shift = standardiser.to_raw(axes, np.zeros(len(kept)))
    # rows that are all alike are one
    chosen = np.sort(order[: _LANDMARKS if apart.any() else 1])
    landmarks = standardiser.apply(features, chosen) @ axes
    return KernelPart(project, shift, landmarks, np.zeros((len(landmarks), 0))), chosen
