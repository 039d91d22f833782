"""The rows of a table that are most like some others, a block at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.core.errors import InputError
from frostline.stats.inputs import row_chunks
from frostline.stats.selection import Features


@dataclass(frozen=True, eq=False)
class NearestRows:
    """A table (n, d) whose rows are compared with others by cosine."""

    rows: Features

    def find(
        self, queries: npt.NDArray[np.floating], k: int
    ) -> tuple[IntArray, npt.NDArray[np.float32]]:
        """Return the ``k`` most similar rows of each query, and their cosines, highest first.

        Every row is prepared once; what is held beside both tables is a block of products.

        Raises InputError if ``k`` is below 1 or above the number of rows, or the queries have
        another number of columns.

        ``queries``, shape (q, d). Both results have shape (q, k).
        """
        n, d = self.rows.shape
        if not 1 <= k <= n:
            raise InputError(f"The number of neighbours must be from 1 to {n:,}, not {k:,}.")
        if queries.ndim != 2 or queries.shape[1] != d:
            raise InputError(f"Queries must have {d} columns, not shape {queries.shape}.")
        directions = np.empty(queries.shape, dtype=np.float32)
        for some in row_chunks(len(queries)):
            directions[some] = _directions(queries[some])
        best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        places = np.zeros((len(queries), k), dtype=np.int64)
        for chunk in row_chunks(n):
            known = _directions(self.rows[np.arange(chunk.start, chunk.stop)]).T
            for some in row_chunks(len(queries)):
                cosine = directions[some] @ known
                _keep_best(best[some], places[some], cosine, chunk.start)
        return places, np.clip(best, -1.0, 1.0)


def _directions(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return rows of length 1; those of length 0 stay."""
    found = np.asarray(rows, dtype=np.float32)
    length = np.linalg.norm(found.astype(np.float64), axis=1, keepdims=True)
    return (found / np.where(length > 0, length, 1.0)).astype(np.float32)


def _keep_best(
    best: npt.NDArray[np.float32],
    places: IntArray,
    cosine: npt.NDArray[np.float32],
    start: int,
) -> None:
    """Merge a block of products, whose columns begin at row ``start``, into the best so far."""
    k = best.shape[1]
    if cosine.shape[1] > k:
        new = np.sort(np.argpartition(-cosine, k - 1, axis=1)[:, :k], axis=1)
    else:
        new = np.broadcast_to(np.arange(cosine.shape[1]), cosine.shape)
    both = np.concatenate([best, np.take_along_axis(cosine, new, axis=1)], axis=1)
    where = np.concatenate([places, new + start], axis=1)
    # of equal ones the first row
    order = np.argsort(-both, axis=1, kind="stable")[:, :k]
    best[:] = np.take_along_axis(both, order, axis=1)
    places[:] = np.take_along_axis(where, order, axis=1)
