"""The head that adds up all depths, scored on rows that neither its fits nor its weights saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from frostline.core.plan import ProbeEvidence, StackingEvidence
from frostline.evidence.probes import ALL, judged
from frostline.stats.intervals import paired_difference
from frostline.stats.metrics import Gains
from frostline.stats.ridge import RidgeLOO
from frostline.stats.second_stage import StageKind
from frostline.stats.stacked_head import ERRORS, Folds, StackedHead, stack_prior
from frostline.targets.labelled import Labelled

#: name of the probe
STACKED = "stacked"


@dataclass(frozen=True)
class StackedProbe:
    """Which rows the stacked head gets right when it has not seen them, and the numbers.

    ``gains``, shape (n,): that, or what every row contributes to another metric.
    """

    gains: Gains
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
    make = partial(
        labelled.target.stacked_head,
        [whole, *taps.values()],
        [slice(0, width), *(blocks if taps else [])],
        labelled.truth,
        folds,
        prior=stack_prior(len(taps)),
        groups=labelled.groups,
        weights=labelled.weights,
    )
    head = make() if labelled.plain else _best_by_metric(make, labelled)
    scores = labelled.target.left_out_scores(head, labelled.truth, labelled.groups)
    predicted = labelled.target.link(head.loo)
    evidence = ProbeEvidence(
        tap=STACKED,
        dimensions=width,
        accuracy=scores.accuracy,
        standard_error=scores.standard_error,
        balanced_accuracy=scores.balanced_accuracy,
        mse=labelled.squared_error(predicted),
        train_accuracy=scores.train_accuracy,
        alpha=whole.alpha,
    )
    gains, evidence = judged(predicted, labelled, scores.correct, evidence)
    return StackedProbe(
        gains=gains,
        evidence=evidence,
        stacking=StackingEvidence(
            shares=dict(zip([ALL, *taps], head.shares.tolist(), strict=True)),
            second_stage=head.stage,
            log_losses=dict(head.log_losses),
        ),
    )


def _best_by_metric(make: Callable[..., StackedHead], labelled: Labelled) -> StackedHead:
    """Return the head with the correction that serves the metric, the simplest of equals.

    Corrections are compared by what the probabilities contribute, as all options are.
    """
    target = labelled.target
    heads = {kind: make(kinds=[kind]) for kind in target.stages()}
    losses: dict[StageKind, float] = {}
    gains = {}
    for kind, head in heads.items():
        left_out = target.link(head.loo)
        gains[kind] = labelled.judge(left_out).of_probabilities(left_out)
        losses |= head.log_losses
    chosen, *others = heads
    for kind in others:
        gain, error = paired_difference(gains[kind], gains[chosen], groups=labelled.groups)
        if gain > ERRORS * error:
            chosen = kind
    return replace(heads[chosen], log_losses=losses)
