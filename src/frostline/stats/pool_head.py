"""Ridge regression on few labelled images, and what it is unsure of among many unlabelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.calibration import fit_temperature, softmax
from frostline.stats.inputs import group_codes, row_chunks
from frostline.stats.ridge import ALPHAS, FLOOR
from frostline.stats.selection import Features
from frostline.stats.standardise import fit_standardiser

Rows32 = npt.NDArray[np.float32]

#: what cannot be told from 0 in an eigenvalue or in 1 - h
_TINY = 1e-9


def common_rows(
    X: Features, *, blocks: Sequence[slice] | None = None, over: IntArray | None = None
) -> Rows32:
    """Return features in one space, shape (n, d + 1).

    Channels are standardised, which uses no label, and scaled so that rows have a mean squared
    length of 1; a last column of ones stands for the intercept.

    ``X``, shape (n, d): raw features. ``blocks``: columns that belong together (taps). ``over``:
    rows that the mean and the spread of a channel are taken from; all for None. A fit takes them
    from its labelled images; where these are few, those of a pool tell more.
    """
    n, d = X.shape
    measured = X if over is None else X[over]
    standardiser = fit_standardiser(measured, blocks=blocks, floor=FLOOR)
    rows = np.ones((n, d + 1), dtype=np.float32)
    for chunk in row_chunks(n):
        rows[chunk, :d] = standardiser.apply(X, chunk)
    lengths = np.square(rows[:, :d]).sum(axis=1)
    length = float(np.mean(lengths if over is None else lengths[over]))
    rows[:, :d] /= np.sqrt(max(length, _TINY))
    return rows


@dataclass(frozen=True)
class PoolHead:
    """A ridge fit in its dual form: a posterior over the outputs of every other image.

    The fit is the posterior mean of a Gaussian process with a linear kernel and noise ``penalty``,
    so what further labels would change is known before they are (Rasmussen and Williams 2006,
    chapter 2; Cohn, Ghahramani and Jordan 1996).

    - ``known``, shape (m, d): rows of the labelled images.
    - ``basis``, shape (m, m): ``(K + penalty I)^(-1/2)``, in the basis of the eigenvectors.
    - ``solved``, shape (m, C): the targets in that basis.
    - ``loo``, shape (m, C): exact leave-one-out outputs; images of one group are left out together.
    - ``temperature``: makes probabilities of outputs, by the left-out ones.
    """

    known: Rows32
    basis: FloatArray
    solved: FloatArray
    penalty: float
    loo: FloatArray
    temperature: float

    def explained(self, rows: Rows32) -> FloatArray:
        """Return what the labelled images explain of rows (n, d): shape (n, m).

        The posterior covariance of two rows is their product less that of what is explained.
        """
        found: FloatArray = (rows @ self.known.T).astype(np.float64) @ self.basis
        return found

    def outputs(self, rows: Rows32) -> FloatArray:
        """Return outputs (n, C) for rows (n, d)."""
        found: FloatArray = self.explained(rows) @ self.solved + 1.0 / self.solved.shape[1]
        return found

    def probabilities(self, rows: Rows32) -> FloatArray:
        """Return calibrated probabilities (n, C) for rows (n, d)."""
        return softmax(self.outputs(rows), self.temperature)

    def mistaken(self, rows: Rows32) -> FloatArray:
        """Return how likely the likeliest class of rows (n, d) is wrong, shape (n,)."""
        found: FloatArray = 1.0 - self.probabilities(rows).max(axis=1)
        return found


def fit_pool_head(
    rows: Rows32, labels: IntArray, n_classes: int, *, groups: npt.ArrayLike | None = None
) -> PoolHead:
    """Fit the head to labelled rows; the penalty is chosen by leave-one-out error.

    Raises InputError if all rows are in one group.

    ``rows``, shape (m, d): of :func:`common_rows`. ``labels``, shape (m,): in [0, C). ``groups``,
    shape (m,): images with equal values are left out together.
    """
    m = len(rows)
    codes = group_codes(groups, n_rows=m)
    eigenvalues, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    eigenvalues = np.maximum(eigenvalues, 0.0)
    targets = np.eye(n_classes)[labels] - 1.0 / n_classes
    rotated = vectors.T @ targets
    together = [np.flatnonzero(codes == code) for code in np.flatnonzero(np.bincount(codes) > 1)]
    best, chosen = np.inf, (0.0, targets)
    for alpha in sorted(ALPHAS, reverse=True):
        penalty = alpha * float(eigenvalues.sum()) / m
        kept = eigenvalues / (eigenvalues + penalty)
        residual = targets - vectors @ (kept[:, None] * rotated)
        left = residual / np.maximum(1.0 - np.square(vectors) @ kept, _TINY)[:, None]
        for group in together:
            of_group = vectors[group]
            leverage = (of_group * kept) @ of_group.T
            left[group] = np.linalg.solve(
                (1 + _TINY) * np.eye(len(group)) - leverage, residual[group]
            )
        error = float(np.mean(np.square(left)))
        if error < best:
            best, chosen = error, (penalty, targets - left)
    penalty, loo = chosen
    loo = loo + 1.0 / n_classes
    roots = 1.0 / np.sqrt(eigenvalues + penalty)
    return PoolHead(
        known=rows,
        basis=vectors * roots,
        solved=roots[:, None] * rotated,
        penalty=penalty,
        loo=loo,
        temperature=fit_temperature(loo, labels),
    )
