"""The threshold that leaves most images in, from scores of held-out images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostline.core.errors import InputError
from frostline.stats.conformal import TooFewCases, conformal_threshold

#: share of images like those of training that should stay below the threshold
ACCEPTED = 0.95
#: with fewer scores than this the threshold is rough: one image moves it by over a point
FEW_SCORES = 60


def acceptance_threshold(scores: npt.ArrayLike, *, accepted: float = ACCEPTED) -> float:
    """Return the score that a new image of the same kind stays within with a given probability.

    It is the ``ceil(accepted * (n + 1))``-th smallest of ``n`` scores, so that the promise holds
    for one further image, not for the ``n`` images themselves (split conformal prediction; Vovk,
    Gammerman and Shafer 2005; Papadopoulos et al. 2002). With fewer than ``accepted / (1 -
    accepted)`` scores (19 for 0.95) nothing can promise so much, and the largest is taken. Raises
    InputError if there is no score, one is not finite, or ``accepted`` is out of range.

    Parameters
    ----------
    scores : array of shape (n,)
        Of images that the scores were not fitted to; higher is further out.
    accepted : float in (0, 1), default=0.95
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    if not len(values) or not np.all(np.isfinite(values)):
        raise InputError("A threshold needs finite scores, at least one of them.")
    if not 0.0 < accepted < 1.0:
        raise InputError(f"The accepted share must lie between 0 and 1, not {accepted}.")
    found = conformal_threshold(values, np.arange(len(values)), level=accepted)
    return float(values.max()) if isinstance(found, TooFewCases) else found
