"""The head that adds up all depths, scored on rows that neither its fits nor its weights saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray
from frostline.core.plan import ProbeEvidence, StackingEvidence
from frostline.evidence.probes import ALL
from frostline.stats.probe_accuracy import loo_accuracy
from frostline.stats.ridge import RidgeLOO
from frostline.stats.stacked_head import Folds, stack_prior, stacked_head
from frostline.targets.labelled import Labelled

#: name of the probe
STACKED = "stacked"


@dataclass(frozen=True)
class StackedProbe:
    """Which rows the stacked head gets right when it has not seen them, and the numbers."""

    correct: BoolArray
    evidence: ProbeEvidence
    stacking: StackingEvidence


def stacked_probe(
    whole: RidgeLOO,
    taps: Mapping[str, RidgeLOO],
    blocks: Sequence[slice],
    labelled: Labelled,
    folds: Folds,
) -> StackedProbe:
    """Put the heads together by their leave-one-out outputs.

    - ``whole``: the fit on all taps. ``taps``: those on each alone, on the same n rows; none where
      single taps were compared on fewer rows.
    - ``blocks``: columns of each of ``taps``.
    - ``labelled``: of the n rows. ``folds``: of them.
    """
    width = len(whole.weight)
    head = stacked_head(
        [whole, *taps.values()],
        [slice(0, width), *(blocks if taps else [])],
        labelled.truth,
        folds,
        prior=stack_prior(len(taps)),
        groups=labelled.groups,
        weights=labelled.weights,
    )
    scores = loo_accuracy(head, labelled.truth, groups=labelled.groups)
    truth = labelled.matrix.rows(slice(0, len(labelled)))
    predicted = labelled.target.link(head.loo)
    return StackedProbe(
        correct=scores.correct,
        evidence=ProbeEvidence(
            tap=STACKED,
            dimensions=width,
            accuracy=scores.accuracy,
            standard_error=scores.standard_error,
            balanced_accuracy=scores.balanced_accuracy,
            mse=float(np.mean((truth - predicted) ** 2)),
            train_accuracy=scores.train_accuracy,
            alpha=whole.alpha,
        ),
        stacking=StackingEvidence(
            shares=dict(zip([ALL, *taps], head.shares.tolist(), strict=True)),
            second_stage=head.stage,
            log_losses=dict(head.log_losses),
        ),
    )
