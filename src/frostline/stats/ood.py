"""Where the features of training images lie, and how far from there others are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.inputs import check_blocks, check_features, row_chunks
from frostline.stats.standardise import fit_standardiser

Float32Array = npt.NDArray[np.float32]

#: principal axes of a block of features: few where there are several blocks
_AXES_OF_ONE, _AXES_OF_MANY = 64, 24
#: numbers that the axes of all blocks may take: 1.6 MB in float32
_MOST_NUMBERS = 400_000
#: each axis rests on so many images, at least
_ROWS_PER_AXIS = 3
#: the distance is that to the third nearest: a single odd training image vouches for nothing
_NEIGHBOURS = 3
#: features are compared by their logarithm from about this share of their usual size on
_LINEAR = 0.1
#: distances count as no smaller than this share of the usual one
SMALLEST = 0.01
#: features that are shorter have no direction
SHORTEST = 1e-6
#: larger scores are all the same
MOST = 1000.0
_TINY = 1e-12
# of a region
_TABLES = ("mean", "scale", "axes", "known")
_NUMBERS = {"start": int, "stop": int, "unit": float}


@dataclass(frozen=True)
class Region:
    """Where the training images lie in one block of features.

    - ``start`` and ``stop``: the block's columns.
    - ``unit``: features ``x`` become ``sign(x) log(1 + |x| / unit)``; positive. 0 takes their
      direction instead, ``x / |x|``.
    - ``mean`` and ``scale``, shape (d,): those are standardised to ``z``; directions stay as they
      are.
    - ``axes``, shape (d, k): orthonormal columns: the principal axes of ``z``.
    - ``known``, shape (m, k): the images, on the axes.
    """

    start: int
    stop: int
    unit: float
    mean: Float32Array
    scale: Float32Array
    axes: Float32Array
    known: Float32Array

    def distances(self, X: npt.NDArray[np.floating], neighbours: int) -> FloatArray:
        """Return squared distances (n, 2) along the axes and off them, of all features (n, D)."""
        z = _standardised(X[:, self.start : self.stop], self.unit, self.mean, self.scale)
        axes = self.axes.astype(np.float64)
        y = z @ axes
        known = self.known.astype(np.float64)
        lengths = np.square(y).sum(axis=1)
        squared = lengths[:, None] - 2.0 * y @ known.T + np.square(known).sum(axis=1)
        near = np.partition(squared, neighbours - 1, axis=1)[:, neighbours - 1]
        # axes are orthonormal to single precision alone, so lengths must not be subtracted
        both = np.stack([near, np.square(z - y @ axes.T).sum(axis=1)], axis=1)
        return np.asarray(np.maximum(both, 0.0), dtype=np.float64)


@dataclass(frozen=True)
class OODScorer:
    """The features of some images, as few numbers, and how far from them others are.

    In every block of features (a tap) there are two squared distances: along the principal axes
    that to the third nearest image, the score of Sun et al. (2022, arXiv 2204.06507), and the
    length off the axes, the residual of Wang et al. (2022, arXiv 2203.10807). The score is the
    geometric mean of all of them, each in units of its usual size and with a weight that falls
    with its usual scatter, against the one at the threshold.

    - ``regions``: one for each block.
    - ``neighbours``: which of the nearest images counts.
    - ``usual`` and ``weights``, shape (2 * n_blocks,): geometric means of the squared distances of
      left-out images, block by block, and weights that sum to 1.
    - ``reach``: what counts as 1; positive.
    """

    regions: tuple[Region, ...]
    neighbours: int
    usual: Float32Array
    weights: Float32Array
    reach: float = 1.0

    @property
    def width(self) -> int:
        """Number of features."""
        return self.regions[-1].stop

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that it is as arrays by name; :meth:`of_arrays` undoes it."""
        values: dict[str, npt.NDArray[Any]] = {
            "neighbours": np.asarray(float(self.neighbours)),
            "reach": np.asarray(self.reach),
            "usual": self.usual,
            "weights": self.weights,
        }
        for number, region in enumerate(self.regions):
            for name in (*_TABLES, *_NUMBERS):
                kind = np.float32 if name in _TABLES else np.float64
                values[f"regions.{number}.{name}"] = np.asarray(getattr(region, name)).astype(kind)
        return values

    @classmethod
    def of_arrays(cls, values: Mapping[str, npt.NDArray[Any]]) -> OODScorer:
        """Return what :meth:`arrays` was asked of.

        Raises KeyError, TypeError or ValueError if they are other arrays.
        """
        n_regions = len({name.split(".")[1] for name in values if name.startswith("regions.")})
        regions = []
        for number in range(n_regions):
            own: dict[str, Any] = {n: values[f"regions.{number}.{n}"] for n in _TABLES}
            spans = {n: k(values[f"regions.{number}.{n}"].item()) for n, k in _NUMBERS.items()}
            regions.append(Region(**own, **spans))
        return cls(
            regions=tuple(regions),
            neighbours=int(values["neighbours"].item()),
            usual=values["usual"],
            weights=values["weights"],
            reach=float(values["reach"].item()),
        )

    def distances(self, X: npt.ArrayLike) -> FloatArray:
        """Return the squared distances, shape (n, 2 * n_blocks), of raw features (n, d).

        Raises InputError if the number of columns is another one.
        """
        features = np.asarray(X)
        if features.ndim != 2 or features.shape[1] != self.width:
            raise InputError(f"Expected features of shape (n, {self.width}), not {features.shape}.")
        found = np.empty((len(features), 2 * len(self.regions)))
        for rows in row_chunks(len(features)):
            each = [r.distances(features[rows], self.neighbours) for r in self.regions]
            found[rows] = np.concatenate(each, axis=1)
        return found

    def scores(self, X: npt.ArrayLike) -> FloatArray:
        """Return how unfamiliar raw features (n, d) are: shape (n,), above 0, at most 1000.

        1 is the threshold once :meth:`reaching` set it; 2 is twice as far.
        """
        return self.score_of(self.distances(X))

    def score_of(self, distances: FloatArray) -> FloatArray:
        """Return the scores (n,) of what :meth:`distances` gave."""
        logs = np.log(np.maximum(distances / self.usual, SMALLEST)) @ self.weights
        return np.asarray(np.exp(np.minimum(0.5 * logs - np.log(self.reach), np.log(MOST))))

    def normalised_by(self, distances: FloatArray) -> OODScorer:
        """Return the same with units and weights from distances of left-out images."""
        logs = np.log(np.maximum(distances, _TINY * max(float(distances.max()), _TINY)))
        usual = np.exp(logs.mean(axis=0))
        scatter = np.log(np.maximum(distances / usual, SMALLEST)).std(axis=0)
        weights = 1.0 / np.maximum(scatter, 0.05)
        return replace(
            self,
            usual=usual.astype(np.float32),
            weights=(weights / weights.sum()).astype(np.float32),
            reach=1.0,
        )

    def with_threshold(self, score: float) -> OODScorer:
        """Return the same where what scored ``score`` scores 1."""
        return replace(self, reach=self.reach * score)


def fit_ood_scorer(X: npt.ArrayLike, *, blocks: Sequence[slice] | None = None) -> OODScorer:
    """Describe where features lie; distances are not in any unit yet.

    Several blocks are compared by the logarithm of their features, a single one by its direction
    alone: it is all that tells in the last layer. What a network does not know excites few of its
    channels there, above all in layers that were trained, so foreign images lie near the middle of
    all others, and only their direction gives them away. Raises InputError if there are too few
    rows, a feature is not finite, or none of a block varies.

    ``X``, shape (n, d): raw features, at least 2 rows; a thousand say all there is to say.
    ``blocks``: columns that belong together (taps); one block for None.
    """
    features = np.asarray(check_features(X))
    n, d = features.shape
    spans = sorted(check_blocks(blocks, n_columns=d), key=lambda span: span.start)
    alone = len(spans) == 1
    wanted = _AXES_OF_ONE if alone else _AXES_OF_MANY
    most = max(1, min(wanted, n // _ROWS_PER_AXIS, _MOST_NUMBERS // d))
    regions = [_region(features, span, most, directions=alone) for span in spans]
    n_distances = 2 * len(regions)
    return OODScorer(
        regions=tuple(regions),
        neighbours=min(_NEIGHBOURS, n),
        usual=np.ones(n_distances, dtype=np.float32),
        weights=np.full(n_distances, 1.0 / n_distances, dtype=np.float32),
    )


def _region(
    features: npt.NDArray[np.floating], span: slice, most: int, *, directions: bool
) -> Region:
    block = features[:, span].astype(np.float64)
    size = float(np.sqrt(np.mean(np.square(block))))
    if not np.isfinite(size):
        raise InputError("Features hold values that are not finite numbers.")
    unit = 0.0 if directions else float(np.float32(_LINEAR * max(size, _TINY)))
    compressed = _compressed(block, unit)
    standardiser = fit_standardiser(compressed)
    if not standardiser.n_kept:
        raise InputError("All images have the same features, so nothing can be unlike them.")
    mean, scale = standardiser.mean.astype(np.float32), standardiser.scale.astype(np.float32)
    if directions:
        mean, scale = np.zeros_like(mean), np.ones_like(scale)
    z = np.asarray((compressed - mean) * scale)
    n, d = z.shape
    k = max(1, min(most, d // 2))
    # of the two ways to the principal axes the one through the smaller matrix
    gram = z @ z.T if n <= d else z.T @ z
    values, vectors = (found[..., -k:] for found in np.linalg.eigh(gram))
    kept = values > 1e-9 * np.trace(gram)
    axes = z.T @ vectors[:, kept] / np.sqrt(values[kept]) if n <= d else vectors[:, kept]
    # products depend in their last digits on how a matrix lies in memory, and files keep rows
    axes = np.ascontiguousarray(axes, dtype=np.float32)
    known = (z @ axes.astype(np.float64)).astype(np.float32)
    return Region(span.start, span.stop, unit, mean, scale, axes, known)


def _standardised(
    block: npt.NDArray[np.floating], unit: float, mean: Float32Array, scale: Float32Array
) -> FloatArray:
    return np.asarray((_compressed(block.astype(np.float64), unit) - mean) * scale)


def _compressed(block: FloatArray, unit: float) -> FloatArray:
    """Large values by their logarithm: a pooled activation of nothing lies far from a small one."""
    if not unit:
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        return np.asarray(block / np.maximum(lengths, SHORTEST))
    return np.asarray(np.sign(block) * np.log1p(np.abs(block) / unit))
