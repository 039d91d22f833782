"""One head out of ridge fits on several depths, perhaps a kernel, and a second stage on top.

Whatever is chosen here rests on leave-one-out outputs, and is judged by folds of the rows: each
row's logits come from weights and a correction that were fitted without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.calibration import softmax
from frostline.stats.intervals import paired_difference
from frostline.stats.kernel_part import KernelPart
from frostline.stats.kernel_ridge import KernelRidge
from frostline.stats.ridge import RidgeLOO
from frostline.stats.second_stage import SecondStage, StageKind, fit_second_stage, stage_kinds
from frostline.stats.stacking import Stack, fit_stack

#: rows in folds that the second level is judged by: positions that learn, and that judge
Folds = Sequence[tuple[IntArray, IntArray]]
#: what is added up
Fit = RidgeLOO | KernelRidge

#: folds that judge weights and corrections
STACK_FOLDS = 5
#: weight of the prior in images for every fit; that on all taps, those on single ones together and
#: a kernel have the same share
_PRIOR = 0.3
#: a probability is not taken to be nearer to 0 than this
_EDGE = 1e-12
#: paired errors that a richer correction has to gain
ERRORS = 1.0


@dataclass(frozen=True)
class StackedHead:
    """A head on raw features, and what it says of rows that it did not learn from.

    - ``weight``: shape (d, C). ``bias``: shape (C,). The outputs are logits.
    - ``loo``, shape (n, C): logits of every row, by leave-one-out outputs that are added up and
      corrected as the other folds say.
    - ``fitted``, shape (n, C): logits of the same rows by the head itself.
    - ``shares``, shape (K,): weights of the fits' calibrated outputs, divided by their sum.
    - ``stage``: which correction was taken.
    - ``log_losses``: of every correction that was tried, over all rows, in nats.
    - ``kernel``: what is added to the linear outputs; None where there is none.
    """

    weight: FloatArray
    bias: FloatArray
    loo: FloatArray
    fitted: FloatArray
    shares: FloatArray
    stage: StageKind
    log_losses: Mapping[StageKind, float]
    kernel: KernelPart | None = None


def stacked_head(
    fits: Sequence[Fit],
    columns: Sequence[slice],
    labels: IntArray,
    folds: Folds,
    *,
    prior: FloatArray,
    groups: IntArray,
    weights: FloatArray | None = None,
    kinds: Sequence[StageKind] | None = None,
) -> StackedHead:
    """Add up fits on the same rows and correct the sum; all of it becomes one head.

    - ``fits``: on n rows each, a kernel last. ``columns``: which of the d features each of the
      linear ones reads.
    - ``labels``: shape (n,), in [0, C).
    - ``folds``: of the rows, with whole groups.
    - ``prior``, shape (K,): shares that the weights are drawn to, see
      :func:`frostline.stats.stacking.fit_stack`.
    - ``groups``, shape (n,): rows of one group succeed and fail together.
    - ``weights``, shape (n,): of the rows; None counts all alike.
    - ``kinds``: corrections to choose from, the simplest first; by default all that suit so many
      classes.
    """
    outputs = [_at_all_shares(fit.loo, labels, groups, weights) for fit in fits]
    scaled = None if weights is None else weights / weights.mean()
    asked = stage_kinds(outputs[0].shape[1]) if kinds is None else list(kinds)
    left_out = _left_out(outputs, labels, folds, prior, scaled, asked)
    losses = {kind: _losses(logits, labels) for kind, logits in left_out.items()}
    chosen = asked[0]
    for kind in asked[1:]:
        gain, error = paired_difference(losses[chosen], losses[kind], groups=groups)
        if gain > ERRORS * error:
            chosen = kind
    stack = fit_stack(outputs, labels, prior=prior, weights=scaled)
    stage = fit_second_stage(chosen, stack.apply(outputs), labels, weights=scaled)
    weight, bias, kernel = _collapsed(fits, columns, stack, stage)
    return StackedHead(
        weight=weight,
        bias=bias,
        loo=left_out[chosen],
        fitted=stage.apply(stack.apply([fit.fitted for fit in fits])),
        shares=stack.weights / stack.weights.sum(),
        stage=chosen,
        log_losses={kind: float(np.mean(each)) for kind, each in losses.items()},
        kernel=kernel,
    )


def stack_prior(n_taps: int, *, kernel: bool = False) -> FloatArray:
    """Return the prior for the fit on all taps, those on each alone, if any, and a kernel."""
    parts = [np.ones(1), np.full(n_taps, 1.0 / max(n_taps, 1)), np.ones(int(kernel))]
    parts = [part for part in parts if len(part)]
    shares = np.concatenate(parts)
    return shares if len(shares) == 1 else _PRIOR * (shares / len(parts)) * len(shares)


def _at_all_shares(
    loo: FloatArray, labels: IntArray, groups: IntArray, weights: FloatArray | None
) -> FloatArray:
    """Return leave-one-out outputs (n, C) with the mean target of all rows, not of those left.

    Without a row the share of its class is smaller, by a fifth of it with five rows a class, and
    the intercept says that every other class is likelier: an error that no new image meets. Rows
    of a larger group stay as they are: where it holds most of a class, the mean would tell on it.
    """
    n, n_classes = loo.shape
    counts = np.zeros((n, n_classes))
    counts[np.arange(n), labels] = 1.0 if weights is None else weights
    _, of_row = np.unique(groups, return_inverse=True)
    by_group = np.zeros((of_row.max() + 1, n_classes))
    np.add.at(by_group, of_row, counts)
    total = by_group.sum(axis=0)
    others = (total - by_group) / (total.sum() - by_group.sum(axis=1, keepdims=True))
    alone = np.bincount(of_row) == 1
    found: FloatArray = loo + (alone[:, None] * (total / total.sum() - others))[of_row]
    return found


def _left_out(
    outputs: Sequence[FloatArray],
    labels: IntArray,
    folds: Folds,
    prior: FloatArray,
    weights: FloatArray | None,
    kinds: Sequence[StageKind],
) -> dict[StageKind, FloatArray]:
    """Return logits (n, C) by each correction, every fold's from the others."""
    found = {kind: np.zeros_like(outputs[0]) for kind in kinds}
    for learn, judge in folds:
        here = None if weights is None else weights[learn] / weights[learn].mean()
        seen = [each[learn] for each in outputs]
        stack = fit_stack(seen, labels[learn], prior=prior, weights=here)
        added, unseen = stack.apply(seen), stack.apply([each[judge] for each in outputs])
        for kind in kinds:
            stage = fit_second_stage(kind, added, labels[learn], weights=here)
            found[kind][judge] = stage.apply(unseen)
    return found


def _losses(logits: FloatArray, labels: IntArray) -> FloatArray:
    of_truth = softmax(logits)[np.arange(len(labels)), labels]
    losses: FloatArray = -np.log(np.maximum(of_truth, _EDGE))
    return losses


def _collapsed(
    fits: Sequence[Fit], columns: Sequence[slice], stack: Stack, stage: SecondStage
) -> tuple[FloatArray, FloatArray, KernelPart | None]:
    """Return the one head that does what the sum of the fits and the correction do."""
    width = max(block.stop for block in columns)
    weight = np.zeros((width, len(fits[0].bias)))
    bias = np.zeros(len(fits[0].bias))
    kernel = None
    blocks = iter(columns)
    for fit, factor in zip(fits, stack.factors, strict=True):
        if isinstance(fit, KernelRidge):
            kernel = fit.part.times(factor * stage.matrix.T)
        else:
            weight[next(blocks)] += factor * fit.weight
        bias += factor * fit.bias
    return weight @ stage.matrix.T, stage.apply(bias), kernel
