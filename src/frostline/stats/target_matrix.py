"""What closed-form fits aim at: one row an image, one column an output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from frostline.core.arrays import FloatArray, IntArray


class TargetMatrix(Protocol):
    """Targets of shape (n, k), of which no more than a chunk of rows is ever dense."""

    def __len__(self) -> int: ...

    @property
    def n_columns(self) -> int:
        """Number of outputs, k."""
        ...

    def rows(self, rows: slice | IntArray) -> FloatArray:
        """Return some rows, shape (m, k), float64."""
        ...

    def weighted_sum(self, weights: FloatArray) -> FloatArray:
        """Return the sum over rows, each times its weight, shape (k,)."""
        ...

    def weighted(self, weights: FloatArray) -> Any:
        """Return all rows, each times its weight, as an array or a sparse one."""
        ...


@dataclass(frozen=True)
class OneHot:
    """A 1 in the column of each row's class, 0 elsewhere.

    ``labels``, shape (n,): in [0, n_columns).
    """

    labels: IntArray
    n_columns: int

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: slice | IntArray) -> FloatArray:
        chosen = self.labels[rows]
        found = np.zeros((len(chosen), self.n_columns))
        found[np.arange(len(chosen)), chosen] = 1.0
        return found

    def weighted_sum(self, weights: FloatArray) -> FloatArray:
        found = np.bincount(self.labels, weights=weights, minlength=self.n_columns)
        return np.asarray(found, dtype=np.float64)

    def weighted(self, weights: FloatArray) -> Any:
        # prediction asks a target too, and should not pay for this import
        import scipy.sparse

        places = (np.arange(len(self)), self.labels)
        return scipy.sparse.csr_array((weights, places), shape=(len(self), self.n_columns))
