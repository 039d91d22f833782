"""What a head adds to its linear outputs: a kernel between an image and some others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.inputs import row_chunks
from frostline.stats.selection import Features


@dataclass(frozen=True)
class KernelPart:
    """Outputs ``1 / (1 + |z - landmark|**2) @ weight`` with ``z = x @ project + shift``.

    A Cauchy kernel on a few principal components of the features, between an image and some
    landmarks. Its width is part of ``project``. Unlike a Gaussian one it has long tails: near
    images count much, and far ones still a little.

    - ``project``, shape (d, p), and ``shift``, shape (p,): from raw features to components.
    - ``landmarks``, shape (m, p): components of some training images.
    - ``weight``: shape (m, C).
    """

    project: FloatArray
    shift: FloatArray
    landmarks: FloatArray
    weight: FloatArray

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, npt.NDArray[np.floating]]) -> KernelPart:
        """Put a part together from what :meth:`tensors` gave, of whatever precision."""
        return cls(**{name: one.astype(np.float64) for name, one in tensors.items()})

    def tensors(self) -> dict[str, FloatArray]:
        """Return the arrays by the names of the fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def outputs(self, X: Features) -> FloatArray:
        """Return outputs of shape (n, C) for raw features of shape (n, d), in float64."""
        found = np.empty((len(X), self.weight.shape[1]))
        for rows in row_chunks(len(X)):
            z = self.components(X[rows])
            found[rows] = closeness(z, self.landmarks) @ self.weight
        return found

    def slopes(
        self, X: npt.NDArray[np.floating], classes: IntArray, *, alone: bool = False
    ) -> FloatArray:
        """Return how the output of a class, less the mean of all, grows with every feature.

        ``X``: shape (n, d). ``classes``, shape (n,): of each row. ``alone``: the mean stays in.
        The result: shape (n, d).
        """
        z = self.components(X)
        common = 0.0 if alone else self.weight.mean(axis=1, keepdims=True)
        said = (self.weight[:, classes] - common).T
        pull = closeness(z, self.landmarks) ** 2 * said
        by_component = 2.0 * (pull @ self.landmarks - pull.sum(axis=1, keepdims=True) * z)
        slopes: FloatArray = by_component @ self.project.T
        return slopes

    def times(self, matrix: FloatArray) -> KernelPart:
        """Return the part whose outputs are multiplied by a matrix from the right."""
        return KernelPart(self.project, self.shift, self.landmarks, self.weight @ matrix)

    def components(self, X: npt.NDArray[np.floating]) -> FloatArray:
        """Return ``z``, shape (n, p), of raw features (n, d)."""
        z: FloatArray = X.astype(np.float64, copy=False) @ self.project + self.shift
        return z


def squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return squared distances (n, m) between rows (n, p) and rows (m, p)."""
    found: FloatArray = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2.0 * a @ b.T
    # rounding may leave what should be 0 a little below it
    np.maximum(found, 0.0, out=found)
    return found


def closeness(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return ``1 / (1 + |a_i - b_j|**2)``, shape (n, m)."""
    found = squared_distances(a, b)
    found += 1.0
    np.reciprocal(found, out=found)
    return found
