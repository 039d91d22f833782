"""What every kind of target answers; everything else asks it instead of assuming classes."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.stats.target_matrix import TargetMatrix

Weighting = Literal["none", "balanced"]


class Target(Protocol):
    """One kind of thing to predict. Stateless: it knows its outputs, no image.

    ``truth`` is always what :meth:`encode` returned for n images, ``outputs`` of shape (n, k)
    what a model computed for them, and ``prediction`` what :meth:`link` made of that.
    """

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a model, k."""
        ...

    @property
    def loss(self) -> str:
        """Name of the loss that gradient training lowers."""
        ...

    def encode(self, labels: npt.ArrayLike) -> IntArray:
        """Return labels as they are kept, shape (n,).

        Raises InputError if they are none of this target's.
        """
        ...

    def matrix(self, truth: IntArray) -> TargetMatrix:
        """Return what closed-form fits aim at, shape (n, k)."""
        ...

    def output_weights(self, truth: IntArray, weighting: Weighting) -> FloatArray | None:
        """Return one weight an output, shape (k,); None where all images count alike."""
        ...

    def row_weights(self, truth: IntArray, weights: FloatArray | None) -> FloatArray | None:
        """Return one weight an image out of :meth:`output_weights`."""
        ...

    def link(self, outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
        """Turn outputs into predictions of shape (n, k)."""
        ...

    def calibrate(
        self, outputs: npt.ArrayLike, truth: npt.ArrayLike, weights: FloatArray | None = None
    ) -> float:
        """Return the temperature that suits held-out images best; ``weights``: of each, (n,)."""
        ...

    def decide(self, prediction: FloatArray) -> IntArray:
        """Return what a prediction comes down to, encoded as the truth is, shape (n,)."""
        ...

    def right(self, prediction: FloatArray, truth: IntArray) -> BoolArray:
        """Return which images are predicted rightly, shape (n,)."""
        ...

    def certainty(self, prediction: FloatArray, truth: IntArray) -> FloatArray:
        """Return how likely the prediction makes the truth, shape (n,), in [0, 1]."""
        ...

    def strata(self, truth: IntArray) -> IntArray:
        """Return numbers of shape (n,); splits keep the share of each."""
        ...

    def chance(self, truth: IntArray) -> float:
        """Return the share that the best guess without an image gets right."""
        ...
