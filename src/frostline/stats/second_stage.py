"""A linear correction of calibrated logits, fitted on outputs for images that did not teach.

Least squares on indicators lets a class that lies between two others hardly ever win (masking:
Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 4.2), and says little of how
rare a class is. A second, much smaller fit by likelihood on leave-one-out outputs repairs both.
Being linear it becomes part of the head, so that it costs nothing at prediction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.calibration import fit_temperature, soft_truth, softmax, softness_of
from frostline.stats.line_search import line_search

StageKind = Literal["none", "biases", "ordered", "matrix"]

#: beyond so many classes a correction has more to learn than it brings, and takes long
_MOST_CLASSES = {"none": np.inf, "biases": 100, "ordered": 50, "matrix": 12}
#: penalty on the squared correction, in nats over all images
_SHRINK = {"biases": 1.0, "ordered": 3.0, "matrix": 10.0}
_MOST_STEPS, _SURE, _SHORTEST = 50, 1e-10, 1e-6


@dataclass(frozen=True)
class SecondStage:
    """Turns outputs (n, C) into calibrated logits: ``outputs @ matrix.T + bias``.

    ``matrix``: shape (C, C). ``bias``: shape (C,).
    """

    kind: StageKind
    matrix: FloatArray
    bias: FloatArray

    def apply(self, outputs: FloatArray) -> FloatArray:
        """Return logits of shape (n, C)."""
        logits: FloatArray = outputs @ self.matrix.T + self.bias
        return logits


def stage_kinds(n_classes: int) -> list[StageKind]:
    """Return the corrections that make sense for so many classes, the simplest first."""
    # two outputs of ridge are one number and its opposite: a matrix has nothing to add to biases
    kinds: list[StageKind] = ["none", "biases"]
    if n_classes > 2:
        kinds.append("matrix")
    return [kind for kind in kinds if n_classes <= _MOST_CLASSES[kind]]


def fit_second_stage(
    kind: StageKind, outputs: FloatArray, labels: IntArray, *, weights: FloatArray | None = None
) -> SecondStage:
    """Fit one kind of correction by penalised likelihood.

    The penalty draws it to no correction: to a temperature alone. Labels are softened as in
    :func:`frostline.stats.calibration.fit_temperature`.

    - ``kind``: ``"none"``, ``"biases"`` (one a class, and a scale), ``"ordered"`` (biases, and one
      score that each class from the lowest on takes more of) or ``"matrix"`` (C by C, and biases).
    - ``outputs``, shape (n, C): for images that the fits behind them did not see.
    - ``labels``: shape (n,), in [0, C).
    - ``weights``, shape (n,): of the images, with mean 1; None counts all alike.
    """
    n, n_classes = outputs.shape
    temperature = fit_temperature(outputs, labels)
    matrix, bias = np.eye(n_classes), np.zeros(n_classes)
    if kind != "none":
        logits = outputs / temperature
        family: _Family = _FAMILIES[kind](logits)
        share = np.full(n, 1.0 / n) if weights is None else weights / n
        change, bias = family.parts(_minimum(family, labels, share, _SHRINK[kind] / n))
        matrix = matrix + change
    return SecondStage(kind, matrix / temperature, bias)


class _Family(ABC):
    """Corrections that are linear in a few numbers."""

    def __init__(self, logits: FloatArray, size: int) -> None:
        self.logits = logits
        self.size = size

    @abstractmethod
    def parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what is added to the identity (C, C), and the biases (C,)."""

    @abstractmethod
    def gradient(self, residual: FloatArray) -> FloatArray:
        """Return the gradient (size,) from that by logits (n, C)."""

    @abstractmethod
    def hessian(self, p: FloatArray, share: FloatArray) -> FloatArray:
        """Return second derivatives (size, size) at probabilities p (n, C)."""

    def changed(self, values: FloatArray) -> FloatArray:
        """Return the corrected logits (n, C)."""
        matrix, bias = self.parts(values)
        logits: FloatArray = self.logits + self.logits @ matrix.T + bias
        return logits


class _Biases(_Family):
    """A scale for all logits, and a bias for each."""

    def __init__(self, logits: FloatArray) -> None:
        super().__init__(logits, 1 + logits.shape[1])

    def parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        return values[0] * np.eye(len(values) - 1), values[1:]

    def gradient(self, residual: FloatArray) -> FloatArray:
        return np.concatenate([[np.sum(residual * self.logits)], residual.sum(axis=0)])

    def hessian(self, p: FloatArray, share: FloatArray) -> FloatArray:
        mean = np.sum(p * self.logits, axis=1, keepdims=True)
        slopes = p * (self.logits - mean)
        found = np.empty((self.size, self.size))
        found[0, 0] = share @ np.sum(slopes * self.logits, axis=1)
        found[0, 1:] = found[1:, 0] = share @ slopes
        found[1:, 1:] = np.diag(share @ p) - (p * share[:, None]).T @ p
        return found


class _Matrix(_Family):
    """A matrix and biases."""

    def __init__(self, logits: FloatArray) -> None:
        n, n_classes = logits.shape
        super().__init__(logits, n_classes * (n_classes + 1))
        self._inputs = np.hstack([logits, np.ones((n, 1))])

    def parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        both = values.reshape(-1, self._inputs.shape[1])
        return both[:, :-1], both[:, -1]

    def gradient(self, residual: FloatArray) -> FloatArray:
        by_class: FloatArray = residual.T @ self._inputs
        return by_class.ravel()

    def hessian(self, p: FloatArray, share: FloatArray) -> FloatArray:
        inputs, n_classes = self._inputs, p.shape[1]
        width = inputs.shape[1]
        found = np.empty((n_classes, width, n_classes, width))
        for first in range(n_classes):
            for second in range(first, n_classes):
                factor = share * p[:, first] * ((first == second) - p[:, second])
                block = inputs.T @ (inputs * factor[:, None])
                found[first, :, second] = found[second, :, first] = block
        return found.reshape(self.size, self.size)


class _Ordered(_Family):
    """Biases, and one score of an image that counts the more the higher the class.

    The model of adjacent categories (Agresti 2010, "Analysis of ordinal categorical data", 4.1): as
    frugal as cumulative logits, but linear, so that it becomes part of a head.
    """

    def __init__(self, logits: FloatArray) -> None:
        n_classes = logits.shape[1]
        super().__init__(logits, 1 + 2 * n_classes)
        self._place = np.linspace(-0.5, 0.5, n_classes)

    def parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        n_classes = len(self._place)
        bias, score = values[1 : 1 + n_classes], values[1 + n_classes :]
        return values[0] * np.eye(n_classes) + np.outer(self._place, score), bias

    def gradient(self, residual: FloatArray) -> FloatArray:
        scale = np.sum(residual * self.logits)
        score = self.logits.T @ (residual @ self._place)
        return np.concatenate([[scale], residual.sum(axis=0), score])

    def hessian(self, p: FloatArray, share: FloatArray) -> FloatArray:
        n, n_classes = p.shape
        slopes = np.empty((n, n_classes, self.size))
        slopes[:, :, 0] = self.logits
        slopes[:, :, 1 : 1 + n_classes] = np.eye(n_classes)
        slopes[:, :, 1 + n_classes :] = self._place[:, None] * self.logits[:, None, :]
        mean = np.einsum("nc,ncs->ns", p, slopes)
        flat = slopes.reshape(-1, self.size)
        found = flat.T @ (flat * (p * share[:, None]).reshape(-1, 1))
        whole: FloatArray = found - mean.T @ (mean * share[:, None])
        return whole


_FAMILIES: dict[StageKind, Callable[[FloatArray], _Family]] = {
    "biases": _Biases,
    "ordered": _Ordered,
    "matrix": _Matrix,
}


def _minimum(family: _Family, labels: IntArray, share: FloatArray, shrink: float) -> FloatArray:
    """Return the values of least penalised loss, by Newton's steps; the loss is convex."""
    n, n_classes = family.logits.shape
    softness = softness_of(n)
    truth = np.full((n, n_classes), softness / (n_classes - 1))
    truth[np.arange(n), labels] = 1.0 - softness

    def loss(values: FloatArray) -> float:
        logits = family.changed(values)
        highest = logits.max(axis=1)
        normaliser = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
        return float(share @ (normaliser - soft_truth(logits, labels)) + shrink * values @ values)

    found = np.zeros(family.size)
    now = loss(found)
    for _ in range(_MOST_STEPS):
        p = softmax(family.changed(found))
        slope = family.gradient((p - truth) * share[:, None]) + 2.0 * shrink * found
        curvature = family.hessian(p, share) + 2.0 * shrink * np.eye(family.size)
        step = np.negative(np.linalg.solve(curvature, slope), dtype=np.float64)
        better = line_search(loss, found, step, now=now, length=1.0, shortest=_SHORTEST)
        if better is None:
            break
        before = now
        found, now = better
        if before - now <= _SURE:
            break
    return found
