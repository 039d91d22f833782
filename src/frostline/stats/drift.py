"""Where training images lie at several depths of a network, and how far a stream is from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.standardise import fit_standardiser

#: principal directions of a depth, and numbers that those of all depths may take
_AXES, _MOST_NUMBERS = 32, 80_000
#: each rests on so many images, at least
_ROWS_PER_AXIS = 3
#: features count by their logarithm from about this share of their usual size on
_LINEAR = 0.1
_TINY = 1e-12
#: a column counts as no further off than so many standard deviations: one that was dead in
#: training, and moves, must not stand for all the others
_FURTHEST = 8.0
#: scores of a depth: distance, level of the means, level of the spreads
PER_DEPTH = 3
_TABLES = ("mean", "scale", "axes", "variances", "centre", "spread")


@dataclass(frozen=True)
class DepthReference:
    """Where training images lie at one depth.

    - ``unit``: activations ``x`` become ``sign(x) log(1 + |x| / unit)``.
    - ``mean`` and ``scale``, shape (d,): those are standardised to ``z``.
    - ``axes``, shape (d, k): principal directions of ``z``; ``variances``, shape (k,), along them.
    - ``residual``: mean square of what is off the axes, in one dimension.
    - ``halves``: how many of the columns come first: means; the others are spreads over space.
    - ``centre`` and ``spread``, shape (3,): of the raw scores of training images.
    """

    unit: float
    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    axes: npt.NDArray[np.float32]
    variances: npt.NDArray[np.float32]
    residual: float
    halves: int
    centre: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]

    @property
    def width(self) -> int:
        """Number of values of an image."""
        return len(self.mean)

    def scores(self, taps: npt.NDArray[np.floating]) -> FloatArray:
        """Return the scores (n, 3) of pooled activations (n, d), in units of their usual spread."""
        return np.asarray((self._raw(taps) - self.centre) / self.spread)

    def standardised(self, taps: npt.NDArray[np.floating]) -> FloatArray:
        """Return pooled activations (n, d) by their logarithm, in units of their spread."""
        z = (_compressed(taps, self.unit) - self.mean) * self.scale
        return np.asarray(np.clip(z, -_FURTHEST, _FURTHEST))

    def _raw(self, taps: npt.NDArray[np.floating]) -> FloatArray:
        z = self.standardised(taps)
        along = z @ self.axes.astype(np.float64)
        off = np.maximum(np.square(z).sum(axis=1) - np.square(along).sum(axis=1), 0.0)
        squared = (np.square(along) / self.variances).sum(axis=1) + off / self.residual
        log_distance = np.log(np.maximum(squared, _TINY))
        means = z[:, : self.halves].mean(axis=1)
        rest = z[:, self.halves :]
        spreads = rest.mean(axis=1) if rest.shape[1] else means
        return np.stack([log_distance, means, spreads], axis=1)


@dataclass(frozen=True)
class DriftReference:
    """What training images gave at several depths, and what left-out ones score there.

    - ``depths``: by depth.
    - ``left_out``, shape (m, 3 * n_depths): scores of images that the references never saw.
    """

    depths: tuple[DepthReference, ...]
    left_out: npt.NDArray[np.float32]

    @property
    def n_scores(self) -> int:
        """Scores of an image."""
        return PER_DEPTH * len(self.depths)

    def scores(self, taps: Sequence[npt.NDArray[np.floating]]) -> FloatArray:
        """Return the scores (n, 3 * n_depths) of pooled activations, one table (n, d) a depth."""
        each = [own.scores(values) for own, values in zip(self.depths, taps, strict=True)]
        return np.concatenate(each, axis=1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that it is as arrays by name; :meth:`of_arrays` undoes it."""
        found: dict[str, npt.NDArray[Any]] = {"left_out": self.left_out}
        for number, depth in enumerate(self.depths):
            found |= {f"{number}.{name}": getattr(depth, name) for name in _TABLES}
            found[f"{number}.axes"] = depth.axes.astype(np.float16)
            found[f"{number}.numbers"] = np.array([depth.unit, depth.residual, depth.halves])
        return found

    @classmethod
    def of_arrays(cls, values: Mapping[str, npt.NDArray[Any]]) -> DriftReference:
        """Return what :meth:`arrays` was asked of.

        Raises KeyError, TypeError or ValueError if they are other arrays.
        """
        depths = []
        for number in range(sum(name.endswith(".numbers") for name in values)):
            own: dict[str, Any] = {
                name: values[f"{number}.{name}"].astype(np.float32) for name in _TABLES
            }
            unit, residual, halves = values[f"{number}.numbers"].tolist()
            depths.append(DepthReference(unit=unit, residual=residual, halves=int(halves), **own))
        return cls(tuple(depths), values["left_out"].astype(np.float32))


def fit_drift_reference(
    fitted: Sequence[npt.NDArray[np.floating]],
    left_out: Sequence[npt.NDArray[np.floating]],
    *,
    means: Sequence[int],
) -> DriftReference:
    """Describe some images at several depths, and score others by it.

    Raises InputError if there are too few images, or features of a depth do not vary.

    ``fitted`` and ``left_out``: one table (n, d) of pooled activations a depth; no image is in
    both. ``means``: how many columns of each depth come first and are means over space, or tokens;
    the others are spreads.
    """
    width = sum(values.shape[1] for values in fitted)
    most = max(4, min(_AXES, _MOST_NUMBERS // max(width, 1)))
    depths = [_depth(values, most, halves) for values, halves in zip(fitted, means, strict=True)]
    whole = DriftReference(tuple(depths), np.empty((0, 0), np.float32))
    return replace(whole, left_out=whole.scores(left_out).astype(np.float32))


def _depth(values: npt.NDArray[np.floating], most: int, halves: int) -> DepthReference:
    size = float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
    if len(values) < 2 or not np.isfinite(size):
        raise InputError("A watch needs finite features of at least two images.")
    unit = _LINEAR * max(size, _TINY)
    compressed = _compressed(values, unit)
    standardiser = fit_standardiser(compressed)
    if not standardiser.n_kept:
        raise InputError("All images have the same features, so nothing can be unlike them.")
    mean, scale = standardiser.mean.astype(np.float32), standardiser.scale.astype(np.float32)
    z = np.clip((compressed - mean) * scale, -_FURTHEST, _FURTHEST)
    n, d = z.shape
    k = max(1, min(most, n // _ROWS_PER_AXIS, d // 2))
    gram = z @ z.T if n <= d else z.T @ z
    found, vectors = (one[..., -k:] for one in np.linalg.eigh(gram))
    kept = found > 1e-9 * np.trace(gram)
    found, vectors = found[kept], vectors[:, kept]
    axes = z.T @ vectors / np.sqrt(found) if n <= d else vectors
    off = max(float(np.trace(gram) - found.sum()), _TINY * n)
    reference = DepthReference(
        unit=unit,
        mean=mean,
        scale=scale,
        axes=np.ascontiguousarray(axes, dtype=np.float16).astype(np.float32),
        variances=(found / n).astype(np.float32),
        residual=off / n / max(standardiser.n_kept - len(found), 1),
        halves=halves,
        centre=np.zeros(PER_DEPTH, np.float32),
        spread=np.ones(PER_DEPTH, np.float32),
    )
    raw = reference._raw(values)
    spread = np.maximum(raw.std(axis=0), 1e-6)
    return replace(
        reference, centre=raw.mean(axis=0).astype(np.float32), spread=spread.astype(np.float32)
    )


def _compressed(values: npt.NDArray[np.floating], unit: float) -> FloatArray:
    block = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sign(block) * np.log1p(np.abs(block) / unit))
