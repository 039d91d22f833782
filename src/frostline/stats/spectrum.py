"""The one eigendecomposition behind ridge regression at every alpha."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.inputs import row_chunks
from frostline.stats.selection import Features
from frostline.stats.standardise import Standardiser
from frostline.stats.target_matrix import TargetMatrix


@dataclass(frozen=True)
class Spectrum:
    """Weighted, centred features in the eigenbasis of their scatter.

    With ``Z`` the standardised rows scaled by the root of their weights, ``Z'Z = V diag(e) V'``
    and ``ZZ' = U diag(e) U'``; the rotated rows are ``ZV = U diag(sqrt(e))``. Nothing is ever
    divided by an eigenvalue alone, so small ones need no cut-off.

    - ``eigenvalues``: shape (r,).
    - ``mean_eigenvalue``: trace divided by min(n, varying channels); 1 if every channel is
      constant.
    - ``rotated_targets``, shape (r, C): ``(ZV)'Y`` for the centred, weighted targets Y.
    - ``target_mean``, shape (C,): weighted mean of the targets.
    - ``root_weights``, shape (n,): root of the row weights (their mean square is 1).
    """

    eigenvalues: FloatArray
    mean_eigenvalue: float
    rotated_targets: FloatArray
    target_mean: FloatArray
    root_weights: FloatArray
    _targets: TargetMatrix
    _features: Features
    _standardiser: Standardiser
    _basis: FloatArray
    _dual_targets: FloatArray | None

    def rotated(self, rows: slice | IntArray) -> FloatArray:
        """Return the chosen rows in the eigenbasis, shape (m, r)."""
        if self._dual_targets is not None:
            return self._basis[rows] * np.sqrt(self.eigenvalues)
        scaled = self._standardiser.apply(self._features, rows)
        scaled *= self.root_weights[rows, None]
        return scaled @ self._basis

    def scaled_targets(self, rows: slice | IntArray) -> FloatArray:
        """Return centred targets of those rows, times the root of their weights."""
        return (self._targets.rows(rows) - self.target_mean) * self.root_weights[rows, None]

    def with_targets(self, targets: TargetMatrix) -> Spectrum:
        """Return the same rows with other targets (n, C)."""
        mean = targets.weighted_sum(self.root_weights**2) / len(targets)
        found = replace(self, _targets=targets, target_mean=mean)
        if self._dual_targets is not None:
            dual_targets = self._basis.T @ found.scaled_targets(slice(0, len(targets)))
            rotated = np.sqrt(self.eigenvalues)[:, None] * dual_targets
            return replace(found, rotated_targets=rotated, _dual_targets=dual_targets)
        sums = np.zeros((len(self.eigenvalues), targets.n_columns))
        for rows in row_chunks(len(targets)):
            sums += self.rotated(rows).T @ found.scaled_targets(rows)
        return replace(found, rotated_targets=sums)

    def weight(self, penalty: float) -> FloatArray:
        """Return the (d, C) weights on standardised features at one penalty."""
        inverse = (1.0 / (self.eigenvalues + penalty))[:, None]
        if self._dual_targets is None:
            return self._basis @ (self.rotated_targets * inverse)
        per_row = self._basis @ (self._dual_targets * inverse)
        per_row *= self.root_weights[:, None]
        weight = np.zeros((self._features.shape[1], per_row.shape[1]))
        for rows in row_chunks(len(per_row)):
            weight += self._standardiser.apply(self._features, rows).T @ per_row[rows]
        return weight


def decompose(
    X: Features, targets: TargetMatrix, weights: FloatArray, standardiser: Standardiser
) -> Spectrum:
    """Decompose the scatter of standardised rows, in the smaller of its two forms.

    ``X``: shape (n, d). ``targets``: shape (n, C). ``weights``, shape (n,): row weights with mean
    1, those that ``standardiser`` was fitted with.
    """
    n, d = X.shape
    root = np.sqrt(weights)
    target_mean = targets.weighted_sum(weights) / n
    dual = n <= d
    if dual:
        scaled = standardiser.apply(X, slice(0, n))
        scaled *= root[:, None]
        scatter = scaled @ scaled.T
        del scaled
        sums = np.zeros((0, 0))
    else:
        scatter = np.zeros((d, d))
        sums = np.zeros((d, targets.n_columns))
        for rows in row_chunks(n):
            chunk = standardiser.apply(X, rows)
            chunk *= root[rows, None]
            scatter += chunk.T @ chunk
            chunk *= root[rows, None]
            # centred rows make the mean of the targets drop out
            sums += targets.products(rows, chunk).T
    trace = float(np.trace(scatter))
    # NumPy lets other threads run meanwhile, SciPy does not
    eigenvalues, basis = np.linalg.eigh(scatter)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    dual_targets = None
    if dual:
        scaled_targets = (targets.rows(slice(0, n)) - target_mean) * root[:, None]
        dual_targets = basis.T @ scaled_targets
        rotated_targets = np.sqrt(eigenvalues)[:, None] * dual_targets
    else:
        rotated_targets = basis.T @ sums
    return Spectrum(
        eigenvalues=eigenvalues,
        mean_eigenvalue=trace / max(1, min(n, standardiser.n_kept)) or 1.0,
        rotated_targets=rotated_targets,
        target_mean=target_mean,
        root_weights=root,
        _targets=targets,
        _features=X,
        _standardiser=standardiser,
        _basis=basis,
        _dual_targets=dual_targets,
    )
