"""Intervals for scores that are no share of images, from what each image contributes.

Scores such as average precision, R2 or kappa are no mean over images. Their contributions are the
score plus the influence of each image on it (the delta method, or infinitesimal jackknife: Efron
1982), as :mod:`frostline.stats.metrics` has them: the mean is the score, and the spread between
groups its error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.stats.intervals import paired_difference, student_quantile, wilson

_Z95 = 1.959963984540054

Interval = tuple[float, float]

#: of a score that is not defined
NOWHERE: Interval = (math.nan, math.nan)


def bounded_interval(
    contributions: FloatArray,
    groups: npt.ArrayLike,
    *,
    n_independent: int,
    ends: Interval = (0.0, 1.0),
) -> Interval:
    """Return a 95 % interval for a score that lies between two ends.

    That of Wilson (1927) for the share of the way from the one end to the other, of as many trials
    as have the same error, fewer where the error itself rests on few (Korn and Graubard 1998). At
    an end nothing varies; then it is that of ``n_independent`` trials, which does not pretend to
    certainty.

    Parameters
    ----------
    contributions : ndarray of shape (n,)
        Their mean is the score.
    groups : array of shape (n,)
        Images of one group succeed and fail together.
    n_independent : int
        How many groups the score rests on: those with a positive, for average precision.
    ends : (float, float), default=(0.0, 1.0)
        The lowest and the highest score there can be.
    """
    low, high = ends
    shares = (contributions - low) / (high - low)
    share, error = paired_difference(shares, np.zeros_like(shares), groups=groups)
    share = min(1.0, max(0.0, share))
    worth = _worth(share, error, n_independent)
    below, above = wilson(share * worth, worth)
    return low + below * (high - low), low + above * (high - low)


def mean_interval(values: FloatArray, groups: npt.ArrayLike) -> Interval:
    """Return a 95 % interval for the mean of values of at least 0 that know no upper end.

    Student's, with as many degrees of freedom as there are groups but one; infinite above for a
    single group. ``values``, ``groups``: shape (n,).
    """
    mean, error = paired_difference(values, np.zeros_like(values), groups=groups)
    reach = error * _few(len(np.unique(groups)))
    return max(0.0, mean - reach), mean + reach


def below_one_interval(contributions: FloatArray, groups: npt.ArrayLike) -> Interval:
    """Return a 95 % interval for a score that is 1 at best and knows no lower end, such as R2.

    Student's, for the logarithm of what it lacks to 1, so that it never ends above 1.
    ``contributions``, shape (n,): their mean is the score. ``groups``: shape (n,).
    """
    score, error = paired_difference(contributions, np.zeros_like(contributions), groups=groups)
    lack = 1.0 - score
    if lack <= 0.0:
        return 1.0, 1.0
    reach = min(error * _few(len(np.unique(groups))) / lack, 700.0)
    return 1.0 - lack * math.exp(reach), 1.0 - lack * math.exp(-reach)


def mean_of_scores(
    mean: Interval, score: float, scores: FloatArray, counts: FloatArray
) -> Interval:
    """Return the interval of a mean over classes, wider where some could not vary.

    A class at 0 or 1 cannot vary, be it of two images or of a thousand. Its Wilson limits are added
    instead (Zou and Donner 2008).

    Parameters
    ----------
    mean : (float, float)
        The interval by what the other classes vary.
    score : float
        The mean itself.
    scores : ndarray of shape (C,)
        Of the classes that it is over, in [0, 1].
    counts : ndarray of shape (C,)
        Groups that each rests on, at least 1.
    """
    fixed = (scores <= 0.0) | (scores >= 1.0)
    if not fixed.any() or fixed.all():
        return mean
    ends = [
        wilson(float(share) * float(count), float(count))
        for share, count in zip(scores[fixed].clip(0.0, 1.0), counts[fixed], strict=True)
    ]
    low, high = np.array(ends).T
    below = float(np.linalg.norm(scores[fixed] - low)) / len(scores)
    above = float(np.linalg.norm(high - scores[fixed])) / len(scores)
    return (
        max(0.0, score - math.hypot(score - mean[0], below)),
        min(1.0, score + math.hypot(mean[1] - score, above)),
    )


def group_numbers(groups: npt.ArrayLike | None, n: int) -> npt.NDArray[np.int64]:
    """Return numbers of groups from 0, shape (n,); every image is one of its own for None.

    Raises InputError if there is another number of them.
    """
    if groups is None:
        return np.arange(n)
    found = np.asarray(groups)
    if found.shape != (n,):
        raise InputError(f"There are {n} images but groups of shape {found.shape}.")
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def plain(value: Any) -> Any:
    """Return a number or an interval as JSON has it: None where it is undefined or infinite."""
    if isinstance(value, tuple):
        undefined = value and all(isinstance(one, float) and math.isnan(one) for one in value)
        return None if undefined else [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _worth(share: float, error: float, n_independent: int) -> float:
    """Return how many independent trials have the same error."""
    most = max(1.0, float(n_independent))
    if not 0.0 < share < 1.0 or error < 1e-12 or n_independent < 3:
        return most
    few = (_Z95 / student_quantile(n_independent - 1)) ** 2
    return max(1.0, few * share * (1.0 - share) / error**2)


def _few(n_groups: int) -> float:
    return math.inf if n_groups < 2 else student_quantile(n_groups - 1)
