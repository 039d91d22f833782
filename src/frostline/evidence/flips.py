"""Whether mirrored images keep what is true of them, asked of the features, not of the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.rng import generator
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.evidence.evidence import Evidence
from frostline.evidence.halves import half_of, halved_to
from frostline.evidence.probes import ALL
from frostline.stats.intervals import paired_difference
from frostline.stats.ridge import ridge_loo
from frostline.stats.selection import Features
from frostline.targets.labelled import Labelled

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen

#: images worth mirroring: a fall of 10 points shows at 2 standard errors
MIRRORED_ROWS = 128
_FIT_ROWS = 1000
_TOLERATED_FALL = 0.03
_ERRORS = 2.0


@dataclass(frozen=True)
class FlipCheck:
    """Accuracy, or another score, on the same held-back images as they are and mirrored.

    ``safe`` is False when accuracy falls by more than 3 points and by more than 2 paired
    standard errors. ``n_images`` are those that were mirrored.
    """

    safe: bool
    plain: float
    mirrored: float
    fall: float
    standard_error: float
    n_images: int


def rows_to_mirror(
    labels: IntArray, groups: IntArray, *, seed: int, limit: int = MIRRORED_ROWS
) -> IntArray:
    """Return at most ``limit`` positions, spread over the classes in proportion."""
    kept = halved_to(2 * limit, labels, groups, stream="rows to mirror", seed=seed)
    return np.sort(generator("mirrored sample", seed).permutation(kept)[:limit])


def flip_is_safe(problem: Problem, frozen: Frozen, evidence: Evidence, runtime: Runtime) -> bool:
    """Ask the probe on the frozen features whether mirrored images keep their class."""
    rows = evidence.rows
    strata = problem.target.strata(problem.labels[rows])
    positions = rows_to_mirror(strata, problem.groups[rows], seed=problem.seed)
    mirrored = np.ascontiguousarray(frozen.runner.pixels(rows[positions])[:, :, ::-1])
    return check_flips(
        frozen.features.table(list(frozen.features.slices), rows),
        problem.labelled(rows),
        frozen.runner.features_of(mirrored, runtime),
        positions,
        blocks=list(frozen.features.slices.values()),
        alpha=evidence.ridge[ALL].alpha,
        seed=problem.seed,
    ).safe


def check_flips(
    plain: Features,
    labelled: Labelled,
    mirrored: npt.NDArray[np.floating],
    positions: IntArray,
    *,
    blocks: Sequence[slice] | None = None,
    alpha: float | None = None,
    seed: int = 0,
) -> FlipCheck:
    """Compare predictions for images and their mirror images.

    The mirrored rows are split in halves; each half is predicted, plain and mirrored, by a fit
    on other images only, since a fit that knows an image favours it over its mirror image.

    - ``plain``, shape (n, d): features of the training images.
    - ``labelled``: of the n images.
    - ``mirrored``, shape (k, d): features of the mirrored images of ``positions``.
    - ``positions``, shape (k,): which rows were mirrored, as :func:`rows_to_mirror` gives them.
    - ``blocks``: columns of each tap.
    - ``alpha``: ridge alpha already chosen on these features; None chooses it anew.
    - The result: safe as well when there are too few images to fit on: nothing then speaks against
      it.
    """
    target, groups = labelled.target, labelled.groups
    labels = target.strata(labelled.truth)
    split = generator("flip halves", seed)
    first = half_of(labels[positions], groups[positions], rng=split)
    rng = generator("flip fits", seed)
    right: FloatArray = np.zeros((len(positions), 2))
    judged = np.zeros(len(positions), dtype=bool)
    for half in (first, ~first):
        others = np.flatnonzero(~np.isin(groups, groups[positions[half]]))
        others = np.sort(rng.permutation(others)[:_FIT_ROWS])
        if not half.any() or len(np.unique(groups[others])) < 2:
            continue
        own = labelled[others]
        fit = ridge_loo(
            plain[others],
            own.matrix,
            groups=groups[others],
            blocks=blocks,
            alphas=None if alpha is None else np.array([alpha]),
        )
        rescaling = target.rescaling(fit.loo, own.truth)
        for column, features in enumerate((plain[positions[half]], mirrored[half])):
            truth = labelled.truth[positions[half]]
            right[half, column] = target.contributions(fit.predict(features), truth, rescaling)
        judged |= half
    if not judged.any():
        return FlipCheck(True, 0.0, 0.0, 0.0, 0.0, 0)
    seen = right[judged]
    fall, error = paired_difference(seen[:, 0], seen[:, 1], groups=groups[positions[judged]])
    return FlipCheck(
        safe=not (fall > _TOLERATED_FALL and fall > _ERRORS * error),
        plain=float(seen[:, 0].mean()),
        mirrored=float(seen[:, 1].mean()),
        fall=fall,
        standard_error=error,
        n_images=int(judged.sum()),
    )
