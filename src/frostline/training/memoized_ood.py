"""Where features lie, described once for the same features and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.fact import NUMBERS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.threads import side_by_side
from frostline.stats.ood import OODScorer, fit_ood_scorer


@dataclass(frozen=True)
class OODFit:
    """Where images lie, and how far each lies from those of the other folds.

    ``scorer``: of all images. ``distances``, shape (judged, 2 * n_blocks): squared, fold by
    fold.
    """

    scorer: OODScorer
    distances: FloatArray


OOD = Memo(name="ood", version=4, libraries=NUMBERS, result=OODFit)


def memoized_ood(
    features: npt.NDArray[np.floating],
    folds: Sequence[tuple[IntArray, IntArray]],
    blocks: Sequence[slice] | None,
    *,
    threads: int = 1,
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
    threads : int, default=1
        How many of the fits run at a time.
    """
    inputs = {
        "features": features,
        "folds": list(folds),
        "blocks": [(span.start, span.stop) for span in blocks or ()],
    }
    return memoize(OOD, inputs, lambda: _fitted(features, folds, blocks, threads))


def _fitted(
    features: npt.NDArray[np.floating],
    folds: Sequence[tuple[IntArray, IntArray]],
    blocks: Sequence[slice] | None,
    threads: int,
) -> OODFit:
    fit = partial(fit_ood_scorer, blocks=blocks)

    def left_out(learn: IntArray, judge: IntArray) -> OODFit:
        scorer = fit(features[learn])
        return OODFit(scorer, scorer.distances(features[judge]))

    tasks = [lambda: OODFit(fit(features), np.empty((0, 0)))]
    tasks += [
        partial(left_out, learn, judge) for learn, judge in folds if len(judge) and len(learn) > 1
    ]
    whole, *parts = side_by_side(tasks, threads=threads)
    return OODFit(whole.scorer, np.concatenate([part.distances for part in parts]))
