"""Ridge regression with exact leave-one-out outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.inputs import (
    check_alphas,
    check_features,
    check_targets,
    group_codes,
    linear_outputs,
    normalised_weights,
)
from frostline.stats.known_cells import KnownRidge
from frostline.stats.leave_out import leave_out_chunks
from frostline.stats.left_out_outputs import leave_out_errors, leave_out_outputs
from frostline.stats.selection import Features
from frostline.stats.spectrum import Spectrum, decompose
from frostline.stats.standardise import Standardiser, fit_standardiser
from frostline.stats.target_matrix import TargetMatrix

#: alphas tried by default, as multiples of the mean eigenvalue
ALPHAS: tuple[float, ...] = tuple(10.0 ** (step / 2) for step in range(-8, 5))

#: floor under the spread by which channels are divided: with few images a channel that hardly
#: varies is noise, and one image that excites it an outlier
FLOOR = 0.1


@dataclass(frozen=True)
class RidgeLOO:
    """A ridge fit with its leave-one-out outputs for the rows it was fitted on.

    Attributes
    ----------
    weight : ndarray of shape (d, C), float64
        Applies to raw features; rows of constant channels are 0.
    bias : ndarray of shape (C,), float64
    alpha : float
        The chosen alpha, a multiple of the mean eigenvalue, so that it carries over to
        another number of rows or channels.
    penalty : float
        The same in absolute terms: the factor of the squared weights on standardised features.
    alphas : ndarray of shape (k,)
        The alphas that were tried.
    loo : ndarray of shape (n, C)
        Output for every row from the fit without that row (or without its group).
    fitted : ndarray of shape (n, C)
        Output for every row from the fit on all rows.
    loo_mse : ndarray of shape (k,)
        Mean squared leave-out error over rows and outputs at every alpha, weighted by the
        weights of the rows where those were given.
    """

    weight: FloatArray
    bias: FloatArray
    alpha: float
    penalty: float
    alphas: FloatArray
    loo: FloatArray
    fitted: FloatArray
    loo_mse: FloatArray

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Return outputs of shape (n, C) for raw features of shape (n, d)."""
        return linear_outputs(X, self.weight, self.bias)


def ridge_loo(
    X: npt.ArrayLike,
    targets: TargetMatrix,
    *,
    alphas: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    standardise: bool = True,
    blocks: Sequence[slice] | None = None,
) -> RidgeLOO:
    """Fit ridge regression; choose the alpha by leave-one-out error.

    Minimises ``sum_i w_i |y_i - W'z_i - b|^2 + penalty * |W|^2`` over the standardised features
    ``z`` with an unpenalised intercept. One eigendecomposition serves every alpha: of the
    (n, n) Gram matrix for n <= d, of the (d, d) scatter matrix otherwise.

    Leave-one-out outputs are exact, not approximate, by the identity ``y - loo = (y - fitted) / (1
    - h)`` with leverage ``h`` (Allen 1974; Golub, Heath and Wahba 1979); rows of one group are left
    out together by ``(I - H_gg)^-1 (y_g - fitted_g)``. Centring belongs to the intercept and is
    inside the loop. The division by the standard deviation and the absolute penalty stay fixed at
    their values on all rows: they use no label, and one row in n moves them by a share of about
    1/n. A column that is unknown for some rows is fitted to the others, exactly
    (:mod:`frostline.stats.known_cells`). Raises InputError if shapes or values are wrong, a feature
    is not finite, or all rows are in one group.

    Parameters
    ----------
    X : array of shape (n, d)
        Raw features, any floating type; computed in float64 a chunk of rows at a time.
    targets : TargetMatrix of shape (n, C)
    alphas : array of shape (k,) or None
        Multiples of the mean eigenvalue (trace divided by min(n, d)); 13 values from 1e-4 to
        1e2 for None.
    groups : array of shape (n,) or None
        Rows with equal values are left out together (near-duplicates, patients, bursts).
    weights : array of shape (n,) or None
        Positive; None weighs all rows alike.
    standardise : bool, default=True
        Divide every channel by its standard deviation, kept from falling to 0 by a tenth of the
        usual one of its block.
    blocks : sequence of slice or None
        Columns that belong together (taps); each block is divided by the root of its width.
    """
    features = check_features(X)
    n = len(features)
    check_targets(targets, n_rows=n)
    grid = check_alphas(ALPHAS if alphas is None else alphas)
    codes = group_codes(groups, n_rows=n)
    scaled = normalised_weights(weights, n_rows=n)
    standardiser = fit_standardiser(
        features, weights=scaled, blocks=blocks, standardise=standardise, floor=FLOOR
    )
    spectrum = decompose(features, targets, scaled, standardiser)
    penalties = grid * spectrum.mean_eigenvalue
    if targets.unknown is not None or targets.scale is not None:
        return _of_values(features, standardiser, spectrum, targets, codes, grid)
    chunks = leave_out_chunks(codes)
    mse, leverage = leave_out_errors(spectrum, chunks, penalties)
    best = _best(grid, mse)
    penalty = float(penalties[best])
    weight, bias = standardiser.to_raw(spectrum.weight(penalty), spectrum.target_mean)
    fit = RidgeLOO(
        weight=weight,
        bias=bias,
        alpha=float(grid[best]),
        penalty=penalty,
        alphas=grid,
        loo=np.empty((n, targets.n_columns)),
        fitted=linear_outputs(features, weight, bias),
        loo_mse=mse,
    )
    return replace(
        fit,
        loo=leave_out_outputs(fit.fitted, penalty, spectrum, chunks, targets, leverage[:, best]),
    )


def ridge_without(
    X: npt.ArrayLike,
    targets: TargetMatrix,
    divisions: Sequence[npt.ArrayLike],
    *,
    alpha: float,
    weights: npt.ArrayLike | None = None,
    blocks: Sequence[slice] | None = None,
) -> list[FloatArray]:
    """Return the outputs of fits without each part of several divisions, at one alpha.

    As :func:`ridge_loo` with ``groups`` for every division, but decomposed once.

    - ``X``: shape (n, d).
    - ``targets``: shape (n, C).
    - ``divisions``, shape (n,): rows with equal values are left out together.
    - ``alpha``: a multiple of the mean eigenvalue.
    - ``weights`` and ``blocks``: as for :func:`ridge_loo`.
    - The result, shape (n, C): left-out outputs, one array for each division.
    """
    features = check_features(X)
    n = len(features)
    check_targets(targets, n_rows=n)
    scaled = normalised_weights(weights, n_rows=n)
    standardiser = fit_standardiser(features, weights=scaled, blocks=blocks, floor=FLOOR)
    spectrum = decompose(features, targets, scaled, standardiser)
    penalty = alpha * spectrum.mean_eigenvalue
    if targets.unknown is not None or targets.scale is not None:
        known = KnownRidge(features, standardiser, spectrum, targets)
        each = (group_codes(division, n_rows=n) for division in divisions)
        return [known.outputs(codes, penalty).loo for codes in each]
    weight, bias = standardiser.to_raw(spectrum.weight(penalty), spectrum.target_mean)
    fit = RidgeLOO(
        weight=weight,
        bias=bias,
        alpha=alpha,
        penalty=penalty,
        alphas=np.array([alpha]),
        loo=np.empty((0, targets.n_columns)),
        fitted=linear_outputs(features, weight, bias),
        loo_mse=np.empty(0),
    )
    penalties = np.array([penalty])
    found = []
    for division in divisions:
        chunks = leave_out_chunks(group_codes(division, n_rows=n))
        _, leverage = leave_out_errors(spectrum, chunks, penalties)
        found.append(
            leave_out_outputs(fit.fitted, penalty, spectrum, chunks, targets, leverage[:, 0])
        )
    return found


def _of_values(
    features: Features,
    standardiser: Standardiser,
    spectrum: Spectrum,
    targets: TargetMatrix,
    codes: IntArray,
    grid: FloatArray,
) -> RidgeLOO:
    """Fit each column to the rows where it is known."""
    known = KnownRidge(features, standardiser, spectrum, targets)
    mse = known.errors(codes, grid * spectrum.mean_eigenvalue)
    best = _best(grid, mse)
    penalty = float(grid[best] * spectrum.mean_eigenvalue)
    found = known.outputs(codes, penalty)
    return RidgeLOO(
        weight=found.weight,
        bias=found.bias,
        alpha=float(grid[best]),
        penalty=penalty,
        alphas=grid,
        loo=found.loo,
        fitted=linear_outputs(features, found.weight, found.bias),
        loo_mse=mse,
    )


def _best(grid: FloatArray, mse: FloatArray) -> int:
    """Return the place of the strongest of equals: nothing speaks for a more flexible fit."""
    order = np.argsort(-grid, kind="stable")
    return int(order[np.argmin(mse[order])])
