"""Softmax regression on one training set, along a path of penalties."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize

from frostline.stats.inputs import FloatArray, IntArray, row_chunks
from frostline.stats.selection import Features
from frostline.stats.standardise import Standardiser, fit_standardiser

logger = logging.getLogger(__name__)

# directions below this share of the largest eigenvalue carry rounding, not data
_RANK = 1e-12
_MOST_STEPS = 1000

# largest gradient at which a fit counts as finished: on the way, logits are right to about
# 1e-3 of their size; coefficients that are handed out deserve more, and weak penalties need it
_ON_THE_WAY = 1e-7
_AT_THE_END = 1e-8


def log_sum_exp(logits: FloatArray) -> FloatArray:
    """Return ``log(sum(exp(logits)))`` over classes, shape (n,), without overflow."""
    highest = logits.max(axis=1)
    total: FloatArray = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
    return total


@dataclass(frozen=True)
class SoftmaxPath:
    """One training set in its eigenbasis, ready to be fitted at several penalties."""

    standardiser: Standardiser
    basis: FloatArray  # (d, r)
    variances: FloatArray  # (r,)
    mean_eigenvalue: float
    rows: FloatArray  # (n, r)
    one_hot: FloatArray  # (n, present classes)
    shares: FloatArray  # (n,), sum 1
    present: IntArray
    log_prior: FloatArray  # (C,), of half an image where a class is absent

    @classmethod
    def of(
        cls,
        X: Features,
        labels: IntArray,
        weights: FloatArray,
        n_classes: int,
        standardise: bool,
        blocks: Sequence[slice] | None,
    ) -> SoftmaxPath:
        """Standardise and rotate one training set."""
        n = len(X)
        standardiser = fit_standardiser(X, weights=weights, blocks=blocks, standardise=standardise)
        shares = weights / weights.sum()
        basis, variances = _eigenbasis(X, shares, standardiser)
        mass = np.bincount(labels, weights=shares, minlength=n_classes)
        present = np.flatnonzero(mass > 0)
        total = float(variances.sum())
        return cls(
            standardiser=standardiser,
            basis=basis,
            variances=variances,
            mean_eigenvalue=total / max(1, min(n, standardiser.n_kept)) or 1.0,
            rows=_rotate(X, standardiser, basis),
            one_hot=(labels[:, None] == present).astype(np.float64),
            shares=shares,
            present=present,
            log_prior=np.log(np.where(mass > 0, mass, 0.5 / n)),
        )

    def rotated(self, X: Features) -> FloatArray:
        """Return raw rows in the eigenbasis of the training set, shape (m, r)."""
        return _rotate(X, self.standardiser, self.basis)

    def raw(self, coefficients: FloatArray, bias: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (d, C) weights and (C,) biases for raw features."""
        return self.standardiser.to_raw(self.basis @ coefficients, bias)

    def path(
        self, strengths: FloatArray, *, refine_last: bool = False
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield (r, C) coefficients and (C,) biases, each fit starting from the one before.

        Parameters
        ----------
        strengths : array of shape (k,)
            From strong to weak.
        refine_last : bool, default=False
            Carry the last fit further, for coefficients that are kept.
        """
        n_rotated, n_present = self.rows.shape[1], len(self.present)
        weight = np.zeros((n_rotated, n_present))
        bias = self.log_prior[self.present]
        bias = bias - bias.mean()
        for number, strength in enumerate(strengths, start=1):
            tight = refine_last and number == len(strengths)
            tolerance = _AT_THE_END if tight else _ON_THE_WAY
            penalty = strength * self.mean_eigenvalue
            # how strongly the likelihood curves along a direction, where the last fit ended
            curvature = self._curvature(weight, bias) * self.variances
            scale = 1.0 / np.sqrt(curvature + penalty)[:, None]
            weight, bias = self._fit(weight, bias, penalty, scale, tolerance)
            coefficients = np.zeros((n_rotated, len(self.log_prior)))
            coefficients[:, self.present] = weight
            # absent classes keep their place relative to the average prior
            offset = self.log_prior[self.present].mean()
            intercept = self.log_prior - offset
            intercept[self.present] = bias
            yield coefficients, intercept

    def _curvature(self, weight: FloatArray, bias: FloatArray) -> float:
        """Return the mean of p (1 - p) over rows and classes."""
        logits = self.rows @ weight + bias
        p = np.exp(logits - log_sum_exp(logits)[:, None])
        return float(np.mean(self.shares @ (p * (1.0 - p))))

    def _fit(
        self,
        weight: FloatArray,
        bias: FloatArray,
        penalty: float,
        scale: FloatArray,
        tolerance: float,
    ) -> tuple[FloatArray, FloatArray]:
        """Minimise from a start; coefficients are optimised in units of ``scale``."""
        shape = weight.shape

        def objective(theta: FloatArray) -> tuple[float, FloatArray]:
            w = theta[: weight.size].reshape(shape) * scale
            logits = self.rows @ w
            logits += theta[weight.size :]
            normaliser = log_sum_exp(logits)
            loss = self.shares @ (normaliser - np.sum(logits * self.one_hot, axis=1))
            logits -= normaliser[:, None]
            error = (np.exp(logits, out=logits) - self.one_hot) * self.shares[:, None]
            gradient = (self.rows.T @ error + penalty * w) * scale
            value = float(loss + 0.5 * penalty * np.sum(w * w))
            return value, np.concatenate([gradient.ravel(), error.sum(axis=0)])

        start = np.concatenate([(weight / scale).ravel(), bias])
        result = scipy.optimize.minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            # well separated classes bring the cost near 0, where steps in it say nothing
            options={"maxiter": _MOST_STEPS, "maxcor": 20, "ftol": 0.0, "gtol": tolerance},
        )
        if result.nit >= _MOST_STEPS:
            logger.warning("Logistic regression stopped after %d steps.", _MOST_STEPS)
        best: FloatArray = result.x
        centred = best[weight.size :] - best[weight.size :].mean()
        return best[: weight.size].reshape(shape) * scale, centred


def _rotate(X: Features, standardiser: Standardiser, basis: FloatArray) -> FloatArray:
    rotated = np.empty((len(X), basis.shape[1]))
    for rows in row_chunks(len(X)):
        rotated[rows] = standardiser.apply(X, rows) @ basis
    return rotated


def _eigenbasis(
    X: Features, shares: FloatArray, standardiser: Standardiser
) -> tuple[FloatArray, FloatArray]:
    """Return orthonormal directions (d, r) that span the rows, and the variances along them."""
    n, d = X.shape
    root = np.sqrt(shares)[:, None]
    if n <= d:
        scaled = standardiser.apply(X, slice(0, n)) * root
        scatter = scaled @ scaled.T
    else:
        scatter = np.zeros((d, d))
        for rows in row_chunks(n):
            chunk = standardiser.apply(X, rows) * root[rows]
            scatter += chunk.T @ chunk
    variances, vectors = scipy.linalg.eigh(
        scatter, driver="evd", overwrite_a=True, check_finite=False
    )
    kept = variances > _RANK * max(variances[-1], 0.0)
    variances, vectors = variances[kept], vectors[:, kept]
    if n > d:
        return vectors, variances
    return scaled.T @ (vectors / np.sqrt(variances)), variances
