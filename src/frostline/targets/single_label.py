"""One class for every image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.stats.calibration import fit_temperature, softmax
from frostline.stats.class_weights import class_weights
from frostline.stats.inputs import check_labels
from frostline.stats.target_matrix import OneHot
from frostline.targets.protocol import Weighting


@dataclass(frozen=True)
class SingleLabel:
    """Exactly one of several classes.

    ``n_outputs``: number of classes.
    """

    n_outputs: int

    @property
    def loss(self) -> str:
        return "cross_entropy"

    def encode(self, labels: npt.ArrayLike) -> IntArray:
        return check_labels(labels, n_rows=len(np.asarray(labels)), n_classes=self.n_outputs)

    def matrix(self, truth: IntArray) -> OneHot:
        return OneHot(self.encode(truth), self.n_outputs)

    def output_weights(self, truth: IntArray, weighting: Weighting) -> FloatArray | None:
        return class_weights(truth, n_classes=self.n_outputs, choice=weighting)

    def row_weights(self, truth: IntArray, weights: FloatArray | None) -> FloatArray | None:
        if weights is None:
            return None
        if weights.shape != (self.n_outputs,):
            raise InputError(f"Expected {self.n_outputs} class weights, not shape {weights.shape}.")
        return weights[truth]

    def link(self, outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
        return softmax(outputs, temperature)

    def calibrate(
        self, outputs: npt.ArrayLike, truth: npt.ArrayLike, weights: FloatArray | None = None
    ) -> float:
        return fit_temperature(outputs, truth, weights=weights)

    def decide(self, prediction: FloatArray) -> IntArray:
        found: IntArray = prediction.argmax(axis=1)
        return found

    def right(self, prediction: FloatArray, truth: IntArray) -> BoolArray:
        found: BoolArray = prediction.argmax(axis=1) == truth
        return found

    def certainty(self, prediction: FloatArray, truth: IntArray) -> FloatArray:
        found: FloatArray = prediction[np.arange(len(truth)), truth]
        return found

    def strata(self, truth: IntArray) -> IntArray:
        return truth

    def chance(self, truth: IntArray) -> float:
        return float(np.bincount(truth).max() / len(truth))
