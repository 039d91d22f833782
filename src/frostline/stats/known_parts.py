"""Columns that are known for the same rows: all, few, or all but few of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.inputs import row_chunks
from frostline.stats.leave_out import LeaveOut, leave_out_chunks, left_out_residuals
from frostline.stats.left_out_outputs import leave_out_errors, leave_out_outputs
from frostline.stats.selection import Features, part_of
from frostline.stats.spectrum import Spectrum, decompose
from frostline.stats.standardise import Standardiser
from frostline.stats.target_matrix import Values

#: numbers that are kept at a time: 0.3 GB
MOST_NUMBERS = 40_000_000


@dataclass(frozen=True)
class KnownOutputs:
    """Weights on raw features (d, C), biases (C,), and left-out outputs (n, C)."""

    weight: FloatArray
    bias: FloatArray
    loo: FloatArray


class Part(ABC):
    """Columns that are known for the same rows."""

    @abstractmethod
    def squares(self, codes: IntArray, penalties: FloatArray) -> FloatArray:
        """Return sums of squared left-out residuals over known rows at every penalty, (k,).

        ``codes``: of the known rows, 0, 1, ...
        """

    @abstractmethod
    def outputs(self, codes: IntArray, penalty: float) -> KnownOutputs:
        """Return the fit at one penalty; ``codes``, shape (n,): of all rows."""


class Whole(Part):
    """Columns that are known for all rows."""

    def __init__(
        self,
        features: Features,
        standardiser: Standardiser,
        spectrum: Spectrum,
        values: FloatArray,
    ) -> None:
        self._features, self._standardiser = features, standardiser
        self._targets = Values(values)
        self._spectrum = spectrum.with_targets(self._targets)

    def squares(self, codes: IntArray, penalties: FloatArray) -> FloatArray:
        mse, _ = leave_out_errors(self._spectrum, leave_out_chunks(codes), penalties)
        found: FloatArray = mse * self._targets.values.size
        return found

    def outputs(self, codes: IntArray, penalty: float) -> KnownOutputs:
        spectrum = self._spectrum
        weight, bias = self._standardiser.to_raw(spectrum.weight(penalty), spectrum.target_mean)
        fitted = _predicted(self._features, weight, bias)
        chunks = leave_out_chunks(codes)
        _, leverage = leave_out_errors(spectrum, chunks, np.array([penalty]))
        loo = leave_out_outputs(fitted, penalty, spectrum, chunks, self._targets, leverage[:, 0])
        return KnownOutputs(weight, bias, loo)


class Anew(Part):
    """Columns that are known for few rows, which are decomposed for themselves."""

    def __init__(
        self,
        features: Features,
        standardiser: Standardiser,
        spectrum: Spectrum,
        known: IntArray,
        values: FloatArray,
    ) -> None:
        self._features, self._known, self._all = features, known, spectrum
        weights = spectrum.root_weights[known] ** 2
        # weights with mean 1 again: penalties and squares follow
        self._factor = len(known) / float(weights.sum())
        own = part_of(features, known)
        mean = np.zeros(features.shape[1])
        for rows in row_chunks(len(known)):
            share = weights[rows] / weights.sum()
            mean += share @ own[rows].astype(np.float64, copy=False)
        self._standardiser = Standardiser(mean, standardiser.scale)
        self._part = Whole(
            own,
            self._standardiser,
            decompose(own, Values(values), weights * self._factor, self._standardiser),
            values,
        )
        self._spectrum = self._part._spectrum

    def squares(self, codes: IntArray, penalties: FloatArray) -> FloatArray:
        return self._part.squares(codes, penalties * self._factor) / self._factor

    def outputs(self, codes: IntArray, penalty: float) -> KnownOutputs:
        known, penalty = self._known, penalty * self._factor
        found = self._part.outputs(recoded(codes[known]), penalty)
        loo = _predicted(self._features, found.weight, found.bias)
        targets = self._part._targets.values
        for others, own in mixed_groups(codes, known):
            # what the group's known rows pull the fit by, as a fit of its own
            pull = np.zeros_like(targets)
            pull[own] = targets[own] - found.loo[own]
            alone = self._spectrum.with_targets(Values(pull))
            weight, bias = self._standardiser.to_raw(alone.weight(penalty), alone.target_mean)
            loo[others] -= _predicted(self._features[others], weight, bias)
        loo[known] = found.loo
        return KnownOutputs(found.weight, found.bias, loo)


class Eliminated(Part):
    """Columns that are unknown for some rows, which are taken out of the whole decomposition."""

    def __init__(
        self,
        features: Features,
        standardiser: Standardiser,
        spectrum: Spectrum,
        known: IntArray,
        values: FloatArray,
    ) -> None:
        self._features, self._standardiser, self._spectrum = features, standardiser, spectrum
        self._known, n = known, len(spectrum.root_weights)
        self._unknown = np.setdiff1d(np.arange(n), known, assume_unique=True)
        root = spectrum.root_weights
        self._intercept = root / np.sqrt(n)
        share = root[known] ** 2
        self._mean = share @ values / share.sum()
        self._observed = (values - self._mean) * root[known, None]
        self._of_unknown = spectrum.rotated(self._unknown)
        self._sums = np.zeros((len(spectrum.eigenvalues), values.shape[1]))
        for rows in row_chunks(len(known)):
            self._sums += spectrum.rotated(known[rows]).T @ self._observed[rows]
        self._of_intercept = self._intercept[known] @ self._observed

    def squares(self, codes: IntArray, penalties: FloatArray) -> FloatArray:
        found = np.zeros(len(penalties))
        step = max(1, MOST_NUMBERS // self._of_unknown.size)
        chunks = leave_out_chunks(codes)
        for start in range(0, len(penalties), step):
            at = [_At(self, float(penalty)) for penalty in penalties[start : start + step]]
            for chunk in chunks:
                rotated = self._spectrum.rotated(self._known[chunk.rows])
                for j, one in enumerate(at):
                    found[start + j] += np.sum(one.left_out(chunk, rotated)[0] ** 2)
        return found

    def outputs(self, codes: IntArray, penalty: float) -> KnownOutputs:
        at, known, unknown = _At(self, penalty), self._known, self._unknown
        root = self._spectrum.root_weights[:, None]
        filled = np.empty((len(root), self._observed.shape[1]))
        filled[known] = self._mean + self._observed / root[known]
        filled[unknown] = self._mean + at.filled / root[unknown]
        whole = self._spectrum.with_targets(Values(filled))
        weight, bias = self._standardiser.to_raw(whole.weight(penalty), whole.target_mean)
        loo = filled.copy()
        residuals = np.empty_like(self._observed)
        links = np.empty((len(unknown), len(known))) if len(_shared(codes, known)) else None
        for chunk in leave_out_chunks(recoded(codes[known])):
            rotated = self._spectrum.rotated(known[chunk.rows])
            residuals[chunk.rows], link = at.left_out(chunk, rotated)
            if links is not None:
                links[:, chunk.rows] = link
        loo[known] -= residuals / root[known]
        if links is not None:
            place = np.full(len(root), -1)
            place[unknown] = np.arange(len(unknown))
            for others, own in mixed_groups(codes, known):
                # how the rows that are not known hang on those of their group that are
                pulled = _solved(at.factor, links[:, own], transposed=True)
                loo[others] -= pulled[place[others]] @ residuals[own] / root[others]
        return KnownOutputs(weight, bias, loo)


class _At:
    """The known rows' residual maker at one penalty."""

    def __init__(self, part: Eliminated, penalty: float) -> None:
        self._part = part
        self.inverse: FloatArray = 1.0 / (part._spectrum.eigenvalues + penalty)
        rotated, intercept = part._of_unknown, part._intercept[part._unknown]
        scaled = rotated * self.inverse
        maker = -(scaled @ rotated.T) - np.outer(intercept, intercept)
        maker[np.diag_indices_from(maker)] += 1.0
        self.factor: FloatArray = np.asarray(np.linalg.cholesky(maker), dtype=np.float64)
        joined = np.column_stack([scaled, intercept])
        #: takes a row in the eigenbasis, and its intercept, to what the unknown rows take from it
        self.taken: FloatArray = _solved(self.factor, joined)
        wanted = self.taken @ np.vstack([part._sums, part._of_intercept])
        #: what the fit says of the unknown rows, in scaled deviations
        self.filled: FloatArray = _solved(self.factor, wanted, transposed=True)
        sums = part._sums + rotated.T @ self.filled
        self._fit: FloatArray = sums * self.inverse[:, None]
        self._level: FloatArray = part._of_intercept + intercept @ self.filled

    def left_out(self, chunk: LeaveOut, rotated: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return residuals (m, C) of known rows by fits without them, and their links (U, m)."""
        part = self._part
        intercept = part._intercept[part._known[chunk.rows]]
        residual = part._observed[chunk.rows] - rotated @ self._fit
        residual -= intercept[:, None] * self._level
        link: FloatArray = self.taken @ np.column_stack([rotated, intercept]).T
        gone = np.square(link).sum(axis=0)
        leverage = np.square(rotated) @ self.inverse + intercept**2 + gone
        found = left_out_residuals(
            residual,
            chunk.size,
            leverage=leverage,
            rotated=np.column_stack([rotated, link.T]) if chunk.size > 1 else None,
            inverse=np.concatenate([self.inverse, np.ones(len(link))]),
            root=intercept,
        )
        return found, link


def _solved(factor: FloatArray, values: FloatArray, *, transposed: bool = False) -> FloatArray:
    """Solve with a lower triangular factor, or its transpose."""
    # twice the work of a triangular solver, which only SciPy has: the core runs without it
    found = np.linalg.solve(factor.T if transposed else factor, values)
    return np.asarray(found, dtype=np.float64)


def recoded(codes: IntArray) -> IntArray:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _shared(codes: IntArray, known: IntArray) -> IntArray:
    """Return the groups that have rows that are known and rows that are not."""
    others = np.delete(codes, known)
    return np.intersect1d(codes[known], others)


def mixed_groups(codes: IntArray, known: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield for each such group its unknown rows, and positions among the known ones."""
    is_known = np.zeros(len(codes), dtype=bool)
    is_known[known] = True
    for group in _shared(codes, known):
        yield np.flatnonzero((codes == group) & ~is_known), np.flatnonzero(codes[known] == group)


def _predicted(features: Features, weight: FloatArray, bias: FloatArray) -> FloatArray:
    found = np.empty((len(features), len(bias)))
    for rows in row_chunks(len(features)):
        found[rows] = features[rows].astype(np.float64, copy=False) @ weight + bias
    return found
