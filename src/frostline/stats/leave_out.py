"""Which rows are left out together, and what their residuals become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.inputs import CHUNK_ROWS, row_chunks

# 1 - h cannot be resolved below this; it is far smaller for the default alphas
_FLOOR = 1e-12


@dataclass(frozen=True)
class LeaveOut:
    """Rows handled at once: whole groups, all of ``size`` rows, one group after another."""

    rows: slice | IntArray
    size: int

    def groups(self) -> IntArray:
        """Return the rows of each group, shape (groups, size); for sizes above 1."""
        found: IntArray = np.asarray(self.rows, dtype=np.int64).reshape(-1, self.size)
        return found


def leave_out_chunks(codes: IntArray) -> list[LeaveOut]:
    """Arrange rows so that a chunk holds whole groups of one size.

    ``codes``, shape (n,): group numbers 0, 1, ..., as :func:`frostline.stats.inputs.group_codes`
    gives them.
    """
    sizes = np.bincount(codes)
    if sizes.max() == 1:
        return [LeaveOut(rows, 1) for rows in row_chunks(len(codes))]
    size_of_row = sizes[codes]
    chunks = []
    for size in np.unique(sizes):
        rows = np.flatnonzero(size_of_row == size)
        rows = rows[np.argsort(codes[rows], kind="stable")]
        step = size * max(1, CHUNK_ROWS // size)
        chunks += [LeaveOut(rows[i : i + step], int(size)) for i in range(0, len(rows), step)]
    return chunks


def left_out_residuals(
    residual: FloatArray,
    size: int,
    *,
    leverage: FloatArray,
    rotated: FloatArray | None,
    inverse: FloatArray,
    root: FloatArray,
) -> FloatArray:
    """Turn residuals of the full fit into those of fits without the row or its group.

    Parameters
    ----------
    residual : array of shape (m, C)
        Scaled by the root of the row weights; m is a multiple of ``size``.
    size : int
        Rows a group.
    leverage : array of shape (m,)
        Diagonal of the hat matrix; used for ``size`` 1.
    rotated : array of shape (m, r) or None
        Rows in the eigenbasis; used for ``size`` above 1.
    inverse : array of shape (r,)
        ``1 / (eigenvalue + penalty)``.
    root : array of shape (m,)
        Root of each row's share in the weighted mean (the intercept's part of the hat matrix).
    """
    if size == 1:
        alone: FloatArray = residual / np.maximum(1.0 - leverage, _FLOOR)[:, None]
        return alone
    if rotated is None:
        raise InputError("Groups of several rows need the rows in the eigenbasis.")
    blocks = (rotated * np.sqrt(inverse)).reshape(-1, size, rotated.shape[1])
    shares = root.reshape(-1, size, 1)
    remainder = np.eye(size) * (1.0 + _FLOOR) - shares * shares.transpose(0, 2, 1)
    remainder -= blocks @ blocks.transpose(0, 2, 1)
    together = np.linalg.solve(remainder, residual.reshape(-1, size, residual.shape[1]))
    return together.reshape(residual.shape).astype(np.float64, copy=False)
