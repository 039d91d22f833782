"""The head that adds up all depths and perhaps a kernel, scored on rows that no part of it saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.core.plan import ProbeEvidence, StackingEvidence
from frostline.evidence.probes import ALL, judged
from frostline.stats.intervals import paired_difference
from frostline.stats.kernel_ridge import KernelRidge
from frostline.stats.metrics import TINY, Gains
from frostline.stats.ridge import RidgeLOO
from frostline.stats.stacked_head import ERRORS, Folds, StackedHead, stack_prior
from frostline.targets.labelled import Labelled

#: name of the probe
STACKED = "stacked"
#: and of the kernel among the shares
KERNEL = "kernel"
#: paired errors that a kernel has to gain: it makes the model larger
_KERNEL_ERRORS = 2.0


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
    *,
    kernel: KernelRidge | None = None,
) -> StackedProbe:
    """Put the heads together by their leave-one-out outputs.

    - ``whole``: the fit on all taps. ``taps``: those on each alone, on the same n rows; none where
      single taps were compared on fewer rows.
    - ``blocks``: columns of each of ``taps``.
    - ``labelled``: of the n rows. ``folds``: of them.
    - ``kernel``: of the same rows, taken where that gains clearly.
    """
    width = len(whole.weight)
    columns = [slice(0, width), *(blocks if taps else [])]
    head, linear_log_loss = best_head([whole, *taps.values()], columns, labelled, folds, kernel)
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
    names = [ALL, *taps, *([] if head.kernel is None else [KERNEL])]
    return StackedProbe(
        gains=gains,
        evidence=evidence,
        stacking=StackingEvidence(
            shares=dict(zip(names, head.shares.tolist(), strict=True)),
            second_stage=head.stage,
            log_losses=dict(head.log_losses),
            linear_log_loss=linear_log_loss,
        ),
    )


def best_head(
    fits: Sequence[RidgeLOO],
    columns: Sequence[slice],
    labelled: Labelled,
    folds: Folds,
    kernel: KernelRidge | None = None,
) -> tuple[StackedHead, float | None]:
    """Return the sum of some fits, with a kernel where that gains clearly.

    Takes what :func:`frostline.stats.stacked_head.stacked_head` does. The second result: where the
    kernel is taken, the log loss of the head without it, in nats.
    """
    make = partial(
        labelled.target.stacked_head,
        columns=columns,
        truth=labelled.truth,
        folds=folds,
        groups=labelled.groups,
        weights=labelled.weights,
    )
    n_taps = len(fits) - 1
    head = _best(partial(make, fits, prior=stack_prior(n_taps)), labelled)
    if kernel is None:
        return head, None
    prior = stack_prior(n_taps, kernel=True)
    with_it = _best(partial(make, [*fits, kernel], prior=prior), labelled)
    gain, error = paired_difference(
        _contributed(with_it, labelled), _contributed(head, labelled), groups=labelled.groups
    )
    if gain <= _KERNEL_ERRORS * error:
        return head, None
    return with_it, -float(np.mean(_log_likelihoods(head, labelled)))


def _best(make: Callable[..., StackedHead], labelled: Labelled) -> StackedHead:
    """Return the head with the correction that serves the metric, the simplest of equals."""
    if labelled.plain:
        return make()
    heads = {kind: make(kinds=[kind]) for kind in labelled.target.stages()}
    gains = {kind: _contributed(head, labelled) for kind, head in heads.items()}
    chosen, *others = heads
    for kind in others:
        gain, error = paired_difference(gains[kind], gains[chosen], groups=labelled.groups)
        if gain > ERRORS * error:
            chosen = kind
    losses = {kind: loss for head in heads.values() for kind, loss in head.log_losses.items()}
    return replace(heads[chosen], log_losses=losses)


def _contributed(head: StackedHead, labelled: Labelled) -> FloatArray:
    """Return what the probabilities of every row contribute, shape (n,): that tells heads apart.

    To accuracy it is the logarithm of the probability of the truth.
    """
    if labelled.plain:
        return _log_likelihoods(head, labelled)
    left_out = labelled.target.link(head.loo)
    return labelled.judge(left_out).of_probabilities(left_out)


def _log_likelihoods(head: StackedHead, labelled: Labelled) -> FloatArray:
    certainty = labelled.target.certainty(labelled.target.link(head.loo), labelled.truth)
    found: FloatArray = np.log(np.maximum(certainty, TINY))
    return found
