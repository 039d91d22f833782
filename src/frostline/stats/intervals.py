"""Intervals and standard errors for shares of images; NumPy only."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.core.rng import generator

_Z95 = 1.959963984540054


def wilson(k: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of Wilson (1927) for ``k`` successes in ``n`` trials.

    Raises InputError if a number is out of range.

    Parameters
    ----------
    n : float, at least 1
        Not whole where trials are worth less than one each (:func:`effective_count`).
    level : float in (0, 1), default=0.95
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


def effective_count(correct: npt.ArrayLike, groups: npt.ArrayLike) -> float:
    """Return how many independent images tell as much as these, some of which belong together.

    Images of one group succeed and fail together: ten frames of one film are no ten images. The
    variance of the accuracy is that of group totals; as many independent images as have the same
    variance are the effective number (Kish 1965), reduced for the few groups that it rests on as
    Korn and Graubard (1998) do. Where all are right, or none, nothing tells how alike the images of
    a group are, and groups are counted. Raises InputError if shapes differ or there is no image.

    ``correct``: shape (n,). ``groups``: shape (n,). The result: in [1, n]; n exactly if every image
    is a group of its own.
    """
    outcome = np.asarray(correct).astype(np.float64)
    share, error = paired_difference(outcome, np.zeros_like(outcome), groups=groups)
    n, n_groups = len(outcome), len(np.unique(groups))
    if n_groups == n:
        return float(n)
    if not 0.0 < share < 1.0 or n_groups < 3:
        return float(n_groups)
    few = (_Z95 / student_quantile(n_groups - 1)) ** 2
    return float(min(n, max(1.0, few * share * (1.0 - share) / max(error, 1e-12) ** 2)))


def student_quantile(freedom: int, level: float = 0.95) -> float:
    """Return how far the central ``level`` of Student's law reaches.

    By the expansion of Fisher and Cornish (1960). ``freedom``: degrees of freedom, at least 1.
    ``level``: in (0, 1); at 0.95 the result is the 97.5 % quantile.
    """
    z, v = _Z95 if level == 0.95 else _normal_quantile(level), float(freedom)
    first = (z**3 + z) / (4 * v)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    return z + first + second + third


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
    distribution as drawing images with replacement, without touching the images. A class that is
    all right or all wrong cannot vary, be it of two images or of a thousand. Its Wilson limits are
    added instead (Zou and Donner 2008): they do not pretend to certainty. Raises InputError if
    there is no image, shapes differ or a number is out of range.

    Parameters
    ----------
    correct : bool array of shape (n,)
    labels : int array of shape (n,)
        True classes, at least 0; those that do not occur play no part.
    level : float in (0, 1), default=0.95
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
    fixed = (hits == 0) | (hits == counts)
    rng = generator("balanced accuracy", seed)
    recalls = rng.binomial(counts, hits / counts, size=(n_resamples, len(counts))) / counts
    low, high = np.quantile(recalls.mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    mean = float(np.mean(hits / counts))
    below, above = _wilson_reach(hits[fixed], counts[fixed], level, of=len(counts))
    return (
        max(0.0, mean - math.hypot(mean - low, below)),
        min(1.0, mean + math.hypot(high - mean, above)),
    )


def paired_difference(
    correct_a: npt.ArrayLike, correct_b: npt.ArrayLike, *, groups: npt.ArrayLike | None = None
) -> tuple[float, float]:
    """Return the mean of ``a - b`` over the same images, and its standard error.

    One image (or one group) tells nothing about the error, which is then infinite. Raises
    InputError if shapes differ or there is no image.

    Parameters
    ----------
    correct_a, correct_b : array of shape (n,)
        Correctness (or any score) of two models on the same images, in the same order.
    groups : array of shape (n,) or None
        Images of one group succeed and fail together: the error then counts groups, not images.
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
    difference = a - b
    mean = float(difference.mean())
    return mean, clustered_error(difference - mean, codes) / len(a)


def mean_error(values: npt.ArrayLike, groups: npt.ArrayLike) -> float:
    """Return the standard error of a mean over images that were judged right or wrong, or valued.

    A share of right ones has that of :func:`share_error`, any other mean that of its groups.
    Raises InputError if shapes differ or there is no image.

    ``values``: shape (n,), bool for right and wrong. ``groups``: shape (n,).
    """
    found = np.asarray(values)
    if found.dtype == np.bool_:
        return share_error(found, groups)
    return paired_difference(found, np.zeros_like(found), groups=groups)[1]


def share_error(correct: npt.ArrayLike, groups: npt.ArrayLike) -> float:
    """Return the standard error of the share of images that are right.

    That of a binomial law, of as many images as these are worth (:func:`effective_count`). Raises
    InputError if shapes differ or there is no image.

    ``correct``: shape (n,). ``groups``: shape (n,).
    """
    share = float(np.mean(np.asarray(correct, dtype=bool)))
    return math.sqrt(share * (1.0 - share) / effective_count(correct, groups))


def clustered_error(contributions: FloatArray, codes: IntArray) -> float:
    """Return the standard error of a sum whose terms are independent between groups only.

    ``contributions``, shape (n,): deviations of the terms from their means. ``codes``, shape (n,):
    number of each term's group: 0, 1, ... The result: infinite for a single group, which tells
    nothing.
    """
    per_group = np.bincount(codes, weights=contributions)
    n_groups = len(per_group)
    if n_groups == 1:
        return math.inf
    return math.sqrt(float(np.sum(per_group**2)) * n_groups / (n_groups - 1))


def _wilson_reach(
    hits: npt.NDArray[np.number], counts: npt.NDArray[np.number], level: float, *, of: int
) -> tuple[float, float]:
    """Return how far the Wilson limits of some classes move the mean over ``of`` classes."""
    if not len(hits):
        return 0.0, 0.0
    ends = np.array([wilson(int(k), int(n), level) for k, n in zip(hits, counts, strict=True)])
    shares = hits / counts
    below = float(np.sqrt(np.sum((shares - ends[:, 0]) ** 2))) / of
    above = float(np.sqrt(np.sum((ends[:, 1] - shares) ** 2))) / of
    return below, above


def _normal_quantile(level: float) -> float:
    """Return how many standard deviations hold the central ``level`` of a normal law."""
    if not 0.0 < level < 1.0:
        raise InputError(f"The level of an interval must lie between 0 and 1, not {level}.")
    return NormalDist().inv_cdf((1.0 + level) / 2.0)
