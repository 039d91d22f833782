"""Leave-out residuals of groups with more rows than there are directions.

The usual way solves a system as large as the group. Here the group's part is taken from the
scatter instead: with rows ``R`` in the eigenbasis (and the intercept as one more column),
``(I - R D^-1 R')^-1 e = e + R (D - R'R)^-1 R'e``, a system as large as the number of directions,
whose parts add up over chunks of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.inputs import row_chunks
from frostline.stats.spectrum import Spectrum


def large_group_errors(spectrum: Spectrum, rows: IntArray, penalties: FloatArray) -> FloatArray:
    """Return the sum of squared left-out residuals of one group at every penalty, shape (k,).

    ``rows``, shape (m,): the group. ``penalties``: shape (k,).
    """

    def observed(part: slice) -> FloatArray:
        return spectrum.scaled_targets(rows[part])

    scatter, products = _sums(spectrum, rows, observed)
    r = len(spectrum.eigenvalues)
    fits, corrections = [], []
    for penalty in penalties:
        fit = spectrum.rotated_targets / (spectrum.eigenvalues + penalty)[:, None]
        fits.append(fit)
        corrections.append(_solved(spectrum, penalty, scatter, products - scatter[:, :r] @ fit))
    squared = np.zeros(len(penalties))
    for part, augmented in _augmented(spectrum, rows):
        targets = observed(part)
        for j, (fit, correction) in enumerate(zip(fits, corrections, strict=True)):
            residual = targets - augmented[:, :r] @ fit
            squared[j] += np.sum((residual + augmented @ correction) ** 2)
    return squared


def large_group_residuals(
    spectrum: Spectrum, rows: IntArray, residual: FloatArray, penalty: float
) -> FloatArray:
    """Turn residuals (m, C) of the full fit into those of the fit without the group."""
    scatter, products = _sums(spectrum, rows, lambda part: residual[part])
    correction = _solved(spectrum, penalty, scatter, products)
    found = np.empty_like(residual)
    for part, augmented in _augmented(spectrum, rows):
        found[part] = residual[part] + augmented @ correction
    return found


def _sums(
    spectrum: Spectrum, rows: IntArray, values: Callable[[slice], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return ``R'R`` and ``R'v`` of the group."""
    width = len(spectrum.eigenvalues) + 1
    scatter = np.zeros((width, width))
    products = np.zeros((width, len(spectrum.target_mean)))
    for part, augmented in _augmented(spectrum, rows):
        scatter += augmented.T @ augmented
        products += augmented.T @ values(part)
    return scatter, products


def _augmented(spectrum: Spectrum, rows: IntArray) -> Iterator[tuple[slice, FloatArray]]:
    """Yield chunks of the group in the eigenbasis, with the intercept's column at the end."""
    for part in row_chunks(len(rows)):
        chosen = rows[part]
        intercept = spectrum.root_weights[chosen] / np.sqrt(len(spectrum.root_weights))
        yield part, np.column_stack([spectrum.rotated(chosen), intercept])


def _solved(
    spectrum: Spectrum, penalty: float, scatter: FloatArray, products: FloatArray
) -> FloatArray:
    # the intercept has no penalty and is a direction of its own, as rows are centred
    whole = np.append(spectrum.eigenvalues + penalty, 1.0)
    solved = np.linalg.solve(np.diag(whole) - scatter, products)
    return np.asarray(solved, dtype=np.float64)
