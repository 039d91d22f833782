"""Whether a few columns tell a target: ridge with exact leave-one-out, and the same shuffled.

Shuffled among the images, the columns tell nothing: how often the shuffled fit scores as well is
the p-value, whatever the columns and the target look like. The hat matrix of shuffled rows is the
shuffled hat matrix, so one decomposition serves all shufflings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray

#: shufflings: as many as a p-value of 0.005 takes
SHUFFLES = 199
#: of a p-value that can no longer become small: so many shufflings scored as well
_HOPELESS = 20
#: of the ridge, in variances of a column
_STRENGTH = 0.02
_FLOOR = 1e-9


@dataclass(frozen=True)
class ColumnFit:
    """Ridge on standardised columns, without its targets.

    ``basis``, shape (n, r): the left singular vectors. ``shrinkage``: shape (r,). ``leverage``:
    shape (n,), with the intercept's.
    """

    basis: FloatArray
    shrinkage: FloatArray
    leverage: FloatArray

    @classmethod
    def of(cls, columns: FloatArray) -> ColumnFit:
        """Decompose columns (n, d); constant ones play no part."""
        n = len(columns)
        centred = columns - columns.mean(axis=0)
        spread = centred.std(axis=0)
        kept = spread > _FLOOR
        scaled = centred[:, kept] / spread[kept]
        basis, singular, _ = np.linalg.svd(scaled, full_matrices=False)
        squared = singular**2
        # so that the whole of the columns counts as much however many there are
        shrinkage = squared / (squared + _STRENGTH * n)
        leverage = (basis**2) @ shrinkage + 1.0 / n
        return cls(basis, shrinkage, leverage)

    def left_out(self, targets: FloatArray, order: IntArray | None = None) -> FloatArray:
        """Return leave-one-out outputs (n, k) for targets (n, k).

        ``order``, shape (n,): which row of the columns stands for each image; its own for None.
        """
        basis = self.basis if order is None else self.basis[order]
        leverage = self.leverage if order is None else self.leverage[order]
        mean = targets.mean(axis=0)
        fitted = basis @ (self.shrinkage[:, None] * (basis.T @ (targets - mean))) + mean
        found: FloatArray = (
            targets - (targets - fitted) / np.maximum(1.0 - leverage, _FLOOR)[:, None]
        )
        return found

    def explained(self, targets: FloatArray, order: IntArray | None = None) -> float:
        """Return the share of the targets' variance that leave-one-out outputs explain.

        Each column counts alike. Below 0 where they do worse than the mean.
        """
        error = np.square(targets - self.left_out(targets, order)).mean(axis=0)
        variance = targets.var(axis=0)
        kept = variance > _FLOOR
        return float(np.mean(1.0 - error[kept] / variance[kept])) if kept.any() else 0.0

    def left_out_together(self, targets: FloatArray, folds: IntArray) -> FloatArray:
        """Return outputs (n, k) of fits without the fold of each row; exact, as all of these.

        ``folds``: shape (n,).
        """
        mean = targets.mean(axis=0)
        fitted = self.basis @ (self.shrinkage[:, None] * (self.basis.T @ (targets - mean))) + mean
        found = np.empty_like(targets)
        for fold in np.unique(folds).tolist():
            own = np.flatnonzero(folds == fold)
            hat = (self.basis[own] * self.shrinkage) @ self.basis[own].T + 1.0 / len(targets)
            residual = np.linalg.solve(np.eye(len(own)) - hat, targets[own] - fitted[own])
            found[own] = targets[own] - residual
        return found


def p_value_of(
    fit: ColumnFit, targets: FloatArray, rng: np.random.Generator, *, shuffles: int = SHUFFLES
) -> float:
    """Return the p-value that columns tell nothing of targets (n, k) without gaps.

    By how many shufflings explain as much (Phipson and Smyth 2010); stopped early where it cannot
    become small (Besag and Clifford 1991). The images must be exchangeable: one of each group.
    """
    reached = fit.explained(targets)
    as_good = 0
    for number in range(1, shuffles + 1):
        as_good += fit.explained(targets, rng.permutation(len(targets))) >= reached
        if as_good >= _HOPELESS:
            return as_good / number
    return (as_good + 1) / (shuffles + 1)
