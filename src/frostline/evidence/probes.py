"""Linear probes by depth: how well each tap separates the classes, by exact leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.plan import ProbeEvidence
from frostline.stats.intervals import mean_error, paired_difference
from frostline.stats.metrics import Gains
from frostline.stats.neighbours import knn_loo
from frostline.stats.ridge import RidgeLOO, ridge_loo
from frostline.stats.selection import Features
from frostline.targets.labelled import Labelled

#: name of the probe on all taps side by side
ALL = "all"
#: name of the same after BatchNorm statistics were re-estimated
ADAPTED = "adapted"


@dataclass(frozen=True)
class Probe:
    """One probe: the fit, which rows it gets right when it has not seen them, the numbers.

    ``gains``, shape (n,): what every row contributes to the score; the same as ``correct`` where
    that is accuracy.
    """

    fit: RidgeLOO
    correct: BoolArray
    evidence: ProbeEvidence
    gains: Gains


def probe(
    name: str,
    features: Features,
    labelled: Labelled,
    *,
    blocks: Sequence[slice] | None = None,
    second_opinion: bool = False,
) -> Probe:
    """Fit ridge on one tap and score its leave-one-out (leave-one-group-out) outputs.

    - ``name``: of the tap.
    - ``features``: shape (n, d).
    - ``labelled``: of the n rows.
    - ``blocks``: columns of each tap, which are divided by the root of their number. A single tap
      is one block, so alphas mean the same at every width.
    - ``second_opinion``: also let the nearest neighbours vote.
    """
    width = features.shape[1]
    fit = ridge_loo(
        features,
        labelled.matrix,
        groups=labelled.groups,
        blocks=[slice(0, width)] if blocks is None else blocks,
        weights=labelled.weights,
    )
    scores = labelled.target.left_out_scores(fit, labelled.truth, labelled.groups)
    neighbours = None
    # neighbours vote for one class an image
    if second_opinion and labelled.target.exclusive:
        votes = knn_loo(features, labelled.matrix, groups=labelled.groups)
        neighbours = float(labelled.target.right(votes, labelled.truth).mean())
    evidence = ProbeEvidence(
        tap=name,
        dimensions=width,
        accuracy=scores.accuracy,
        standard_error=scores.standard_error,
        balanced_accuracy=scores.balanced_accuracy,
        mse=float(np.min(fit.loo_mse)),
        train_accuracy=scores.train_accuracy,
        alpha=fit.alpha,
        neighbours=neighbours,
    )
    left_out = fit.loo
    if not labelled.plain:
        left_out = labelled.calibrated(left_out)
    gains, evidence = judged(left_out, labelled, scores.correct, evidence)
    return Probe(fit=fit, correct=scores.correct, evidence=evidence, gains=gains)


def judged(
    left_out: FloatArray, labelled: Labelled, correct: BoolArray, evidence: ProbeEvidence
) -> tuple[Gains, ProbeEvidence]:
    """Return what every row contributes to the score, and the evidence with the score in it.

    ``left_out``, shape (n, k): calibrated predictions for rows by fits without them; looked at only
    where something else than accuracy counts. ``correct``, shape (n,): which rows are right by the
    likeliest class.
    """
    if labelled.plain:
        return correct, evidence
    gains = labelled.judge(left_out).of_decisions(left_out)
    error = mean_error(gains, labelled.groups)
    score = {"score": float(np.mean(gains)), "score_error": error}
    return gains, evidence.model_copy(update=score)


def best_tap(probes: Sequence[Probe], groups: IntArray | None = None) -> int:
    """Return the position of the best tap, preferring a deeper one unless it is clearly worse.

    ``probes``: in order of depth, on the same rows. The result: the deepest tap whose paired loss
    against the best one is at most one standard error: removing layers needs a reason.
    """
    top = int(np.argmax([p.evidence.reached for p in probes]))
    for i in range(len(probes) - 1, top, -1):
        loss, error = paired_difference(probes[top].gains, probes[i].gains, groups=groups)
        if loss <= error:
            return i
    return top
