"""Intervals and standard errors for shares of images; NumPy only."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from frostline.errors import InputError


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of Wilson (1927) for ``k`` successes in ``n`` trials.

    Parameters
    ----------
    k : int in [0, n]
    n : int, at least 1
    level : float in (0, 1), default=0.95

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if n < 1 or not 0 <= k <= n:
        raise InputError(f"Cannot give an interval for {k} successes in {n} trials.")
    z = _normal_quantile(level)
    share = k / n
    spread = z * math.sqrt(share * (1.0 - share) / n + (z / (2.0 * n)) ** 2)
    centre = share + z * z / (2.0 * n)
    scale = 1.0 + z * z / n
    # the ends are exact where rounding would leave 1e-17 behind
    low = 0.0 if k == 0 else (centre - spread) / scale
    high = 1.0 if k == n else (centre + spread) / scale
    return low, high


def stratified_bootstrap(
    correct: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return a percentile interval for balanced accuracy, resampling images within classes.

    The number of hits in a resample of one class is binomial, so it is drawn as such: the same
    distribution as drawing images with replacement, without touching the images. A class that
    is all right or all wrong cannot vary. Where that holds for every class, the Wilson limits
    of the classes are combined instead (Zou and Donner 2008), which do not pretend to certainty.

    Parameters
    ----------
    correct : bool array of shape (n,)
    labels : int array of shape (n,)
        True classes, at least 0; those that do not occur play no part.
    n_resamples : int, default=2000
    level : float in (0, 1), default=0.95
    seed : int, default=0

    Raises
    ------
    InputError
        If there is no image, shapes differ or a number is out of range.
    """
    outcome = np.asarray(correct).astype(bool)
    targets = np.asarray(labels)
    if outcome.ndim != 1 or outcome.shape != targets.shape or not len(targets):
        raise InputError(
            f"Expected one correctness and one label for at least one image, not shapes "
            f"{outcome.shape} and {targets.shape}."
        )
    if n_resamples < 1:
        raise InputError(f"The number of resamples must be at least 1, not {n_resamples}.")
    _normal_quantile(level)
    codes = np.unique(targets, return_inverse=True)[1]
    counts = np.bincount(codes)
    hits = np.bincount(codes, weights=outcome)
    if np.all((hits == 0) | (hits == counts)):
        return _combined_wilson(hits, counts, level)
    rng = np.random.default_rng(seed)
    recalls = rng.binomial(counts, hits / counts, size=(n_resamples, len(counts))) / counts
    low, high = np.quantile(recalls.mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    correct_a: npt.ArrayLike,
    correct_b: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the mean of ``a - b`` over the same images, and its standard error.

    One image (or one group) tells nothing about the error, which is then infinite.

    Parameters
    ----------
    correct_a, correct_b : array of shape (n,)
        Correctness (or any score) of two models on the same images, in the same order.
    groups : array of shape (n,) or None
        Images of one group succeed and fail together: the error then counts groups, not images.

    Raises
    ------
    InputError
        If shapes differ or there is no image.
    """
    a = np.asarray(correct_a, dtype=np.float64)
    b = np.asarray(correct_b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(f"Paired models need the same images, not {a.shape} and {b.shape}.")
    codes = np.arange(len(a)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if codes.shape != a.shape:
        raise InputError(f"There are {len(a)} images but groups of shape {codes.shape}.")
    if not len(a):
        raise InputError("A comparison needs at least one image.")
    n_groups = int(codes.max()) + 1
    difference = a - b
    mean = float(difference.mean())
    if n_groups == 1:
        return mean, math.inf
    per_group = np.bincount(codes, weights=difference - mean)
    error = math.sqrt(n_groups / (n_groups - 1) * float(np.sum(per_group**2))) / len(a)
    return mean, error


def _combined_wilson(
    hits: npt.NDArray[np.number], counts: npt.NDArray[np.number], level: float
) -> tuple[float, float]:
    """Return limits for the mean of independent shares from the limits of each."""
    ends = np.array([wilson(int(k), int(n), level) for k, n in zip(hits, counts, strict=True)])
    shares = hits / counts
    below = float(np.sqrt(np.sum((shares - ends[:, 0]) ** 2))) / len(counts)
    above = float(np.sqrt(np.sum((ends[:, 1] - shares) ** 2))) / len(counts)
    mean = float(np.mean(shares))
    return max(0.0, mean - below), min(1.0, mean + above)


def _normal_quantile(level: float) -> float:
    """Return how many standard deviations hold the central ``level`` of a normal law."""
    if not 0.0 < level < 1.0:
        raise InputError(f"The level of an interval must lie between 0 and 1, not {level}.")
    return NormalDist().inv_cdf((1.0 + level) / 2.0)
