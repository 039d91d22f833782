"""Left-out residuals of many columns, each unknown for other rows, out of one matrix a penalty.

With the residual maker ``M = I - H`` of all rows, and ``e = M y`` for a column with 0 where it is
unknown, the fit to the known rows K leaves ``e_K - M_KU M_UU^-1 e_U`` there, and says ``-M_UU^-1
e_U`` of the unknown rows U. So that a column costs a system as large as U, and one product of U
rows with all; the matrix itself costs as much as some dozens of columns by
:mod:`frostline.stats.known_cells`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.inputs import row_chunks
from frostline.stats.leave_out import leave_out_chunks
from frostline.stats.spectrum import Spectrum

#: numbers that a matrix may have: 0.3 GB
_MOST_NUMBERS = 40_000_000
#: what a column costs beside its unknown rows, in rows of the matrix
_COLUMN = 100
# as in frostline.stats.leave_out
_FLOOR = 1e-12


@dataclass(frozen=True)
class Pattern:
    """Columns that are known in the same rows.

    ``known`` and ``unknown``: the rows, ascending. ``columns``: which.
    """

    known: IntArray
    unknown: IntArray
    columns: IntArray


def pays(patterns: Sequence[Pattern], n: int) -> bool:
    """Whether one matrix of n rows costs less than to take each pattern's rows out by itself."""
    cost = sum(len(pattern.unknown) + _COLUMN for pattern in patterns)
    return cost > n and n * n <= _MOST_NUMBERS


class ResidualMaker:
    """The residual maker of all rows at one penalty.

    ``observed``, shape (n, C): centred targets times the root of the rows' weights, with 0 where
    they are unknown.
    """

    def __init__(self, spectrum: Spectrum, penalty: float, observed: FloatArray) -> None:
        root = spectrum.root_weights
        n = len(root)
        scale = 1.0 / np.sqrt(spectrum.eigenvalues + penalty)
        rotated = np.empty((n, len(scale)))
        for rows in row_chunks(n):
            rotated[rows] = spectrum.rotated(rows) * scale
        self._matrix: FloatArray = np.negative(rotated @ rotated.T)
        del rotated
        for rows in row_chunks(n):
            self._matrix[rows] -= np.outer(root[rows], root / n)
        self._matrix[np.diag_indices(n)] += 1.0
        self._left: FloatArray = self._matrix @ observed

    def filled(self, pattern: Pattern, codes: IntArray) -> Filled:
        """Fit the columns of a pattern; ``codes``, shape (n,): rows that are left out together."""
        known, unknown = pattern.known, pattern.unknown
        own, left = self._matrix[unknown], self._left[:, pattern.columns]
        wanted = np.column_stack([own, left[unknown]])
        solved = np.asarray(np.linalg.solve(own[:, unknown], wanted), dtype=np.float64)
        links, values = solved[:, : len(left)], -solved[:, len(left) :]
        residual = left - own.T @ solved[:, len(left) :]
        alone = np.diagonal(self._matrix) - np.einsum("ij,ij->j", own, links)
        for chunk in leave_out_chunks(np.unique(codes[known], return_inverse=True)[1]):
            rows = known[chunk.rows]
            if chunk.size == 1:
                residual[rows] /= np.maximum(alone[rows], _FLOOR)[:, None]
                continue
            for group in rows.reshape(-1, chunk.size):
                among = self._matrix[np.ix_(group, group)] - own[:, group].T @ links[:, group]
                among[np.diag_indices(chunk.size)] += _FLOOR
                residual[group] = np.linalg.solve(among, residual[group])
        return Filled(residual[known], values, links)


@dataclass(frozen=True)
class Filled:
    """What fits to the known rows of some columns say.

    ``residual``, shape (K, c): of the known rows by fits without each or its group. ``values``,
    shape (U, c): of the unknown rows, as the targets are scaled. ``links``, shape (U, n): how much
    a row that is left out, times its residual, changes these.
    """

    residual: FloatArray
    values: FloatArray
    links: FloatArray
