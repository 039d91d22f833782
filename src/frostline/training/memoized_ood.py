"""Where features lie, described once for the same features and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.fact import NUMBERS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.ood import OODScorer, fit_ood_scorer


@dataclass(frozen=True)
class OODFit:
    """Where images lie, and how far each lies from those of the other folds.

    ``scorer``: of all images. ``distances``, shape (judged, 2 * n_blocks): squared, fold by
    fold.
    """

    scorer: OODScorer
    distances: FloatArray


OOD = Memo(name="ood", version=2, libraries=NUMBERS, result=OODFit)


def memoized_ood(
    features: npt.NDArray[np.floating],
    folds: Sequence[tuple[IntArray, IntArray]],
    blocks: Sequence[slice] | None,
) -> OODFit:
    """Describe where images lie, and how far every one lies from those of the other folds.

    Both are read back where the same features were described before. Raises InputError if all
    images look the same.

    Parameters
    ----------
    features : array of shape (n, d)
    folds : sequence of (learn, judge)
        Positions of the images of each.
    blocks : sequence of slice or None
        See :func:`frostline.stats.ood.fit_ood_scorer`.
    """
    inputs = {
        "features": features,
        "folds": list(folds),
        "blocks": [(span.start, span.stop) for span in blocks or ()],
    }
    return memoize(
        OOD,
        inputs,
        lambda: OODFit(fit_ood_scorer(features, blocks=blocks), _left_out(features, folds, blocks)),
    )


def _left_out(
    features: npt.NDArray[np.floating],
    folds: Sequence[tuple[IntArray, IntArray]],
    blocks: Sequence[slice] | None,
) -> FloatArray:
    each = [
        fit_ood_scorer(features[learn], blocks=blocks).distances(features[judge])
        for learn, judge in folds
        if len(judge) and len(learn) > 1
    ]
    return np.concatenate(each)
