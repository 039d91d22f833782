"""What closed-form fits aim at: one row an image, one column an output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray


class TargetMatrix(Protocol):
    """Targets of shape (n, k), of which no more than a chunk of rows is ever dense."""

    def __len__(self) -> int: ...

    @property
    def n_columns(self) -> int:
        """Number of outputs, k."""
        ...

    @property
    def unknown(self) -> BoolArray | None:
        """Which cells nobody knows, shape (n, k); None where all are known."""
        ...

    @property
    def scale(self) -> FloatArray | None:
        """What a deviation of each column is compared with, shape (k,); None for 1."""
        ...

    def rows(self, rows: slice | IntArray) -> FloatArray:
        """Return some rows, shape (m, k), float64; 0 in unknown cells."""
        ...

    def weighted_sum(self, weights: FloatArray) -> FloatArray:
        """Return the sum over rows, each times its weight, shape (k,)."""
        ...

    def products(self, rows: slice | IntArray, values: FloatArray) -> FloatArray:
        """Return ``targets[rows].T @ values``, shape (k, d), for values of shape (m, d)."""
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

    @property
    def unknown(self) -> None:
        return None

    @property
    def scale(self) -> None:
        return None

    def rows(self, rows: slice | IntArray) -> FloatArray:
        chosen = self.labels[rows]
        found = np.zeros((len(chosen), self.n_columns))
        found[np.arange(len(chosen)), chosen] = 1.0
        return found

    def weighted_sum(self, weights: FloatArray) -> FloatArray:
        found = np.bincount(self.labels, weights=weights, minlength=self.n_columns)
        return np.asarray(found, dtype=np.float64)

    def products(self, rows: slice | IntArray, values: FloatArray) -> FloatArray:
        return sums_by_label(values, self.labels[rows], self.n_columns)


@dataclass(frozen=True)
class Values:
    """One number a cell.

    ``values``, shape (n, k): NaN where nobody knows. ``scale``, shape (k,): see
    :class:`TargetMatrix`.
    """

    values: FloatArray
    scale: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n_columns(self) -> int:
        return int(self.values.shape[1])

    @cached_property
    def unknown(self) -> BoolArray | None:
        found = np.isnan(self.values)
        return found if found.any() else None

    def rows(self, rows: slice | IntArray) -> FloatArray:
        chosen = self.values[rows]
        return np.where(np.isnan(chosen), 0.0, chosen)

    def weighted_sum(self, weights: FloatArray) -> FloatArray:
        found: FloatArray = weights @ self.rows(slice(None))
        return found

    def products(self, rows: slice | IntArray, values: FloatArray) -> FloatArray:
        found: FloatArray = self.rows(rows).T @ values
        return found


def sums_by_label(values: FloatArray, labels: IntArray, n_labels: int) -> FloatArray:
    """Return the sum of the rows of each label, shape (n_labels, d).

    ``values``: shape (n, d). ``labels``, shape (n,): in [0, n_labels).
    """
    found = np.zeros((n_labels, values.shape[1]))
    for number in np.unique(labels):
        found[number] = values[labels == number].sum(axis=0)
    return found
