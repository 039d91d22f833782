"""One linear head for several labels, or numbers, out of ridge fits on several depths.

As :mod:`frostline.stats.stacked_head` for one label an image: convex weights of the fits by what
each says of rows it did not see, judged by folds of these. Labels have a scale and a bias each, in
every fit and of the sum. Cells that nobody knows are left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.stats.kernel_ridge import KernelRidge
from frostline.stats.line_search import line_search
from frostline.stats.metrics import TINY
from frostline.stats.second_stage import StageKind
from frostline.stats.sigmoids import Rescaling, fit_sigmoids, sigmoid
from frostline.stats.stacked_head import Fit, Folds, StackedHead

_MOST_STEPS, _SURE, _SHORTEST = 60, 1e-10, 1e-8
#: sum of weights that says that the fits tell nothing
_LARGEST = 100.0
#: a weight keeps at least this share of itself in a step
_LEFT = 0.05
#: a dozen weights need no more values than this
_MOST_VALUES = 10_000_000


class Losses(ABC):
    """What heads of one kind lower, and how outputs become what is added up."""

    #: how the correction of the sum is called in files
    stage: StageKind
    #: whether the mean of a column is the share of rows that have a label
    shares: bool

    @abstractmethod
    def rescaling(self, outputs: FloatArray, truth: Truth, weights: FloatArray | None) -> Rescaling:
        """Return what suits outputs (n, k) best."""

    @abstractmethod
    def scale(self, truth: Truth) -> FloatArray:
        """Return what a deviation of each column is compared with, shape (k,)."""

    @abstractmethod
    def value(self, outputs: FloatArray, truth: Truth) -> FloatArray:
        """Return the loss of every cell; ``truth`` without NaN."""

    @abstractmethod
    def slopes(self, outputs: FloatArray, truth: Truth) -> tuple[FloatArray, FloatArray]:
        """Return first and second derivatives of the loss by each output."""


class SigmoidLosses(Losses):
    """Negative log-likelihood of labels."""

    stage: StageKind = "biases"
    shares = True

    def rescaling(self, outputs: FloatArray, truth: Truth, weights: FloatArray | None) -> Rescaling:
        return fit_sigmoids(outputs, truth, weights=weights)

    def scale(self, truth: Truth) -> FloatArray:
        return np.ones(truth.shape[1])

    def value(self, outputs: FloatArray, truth: Truth) -> FloatArray:
        found: FloatArray = np.logaddexp(0.0, outputs) - truth * outputs
        return found

    def slopes(self, outputs: FloatArray, truth: Truth) -> tuple[FloatArray, FloatArray]:
        p = sigmoid(outputs)
        return p - truth, p * (1.0 - p)


class SquaredLosses(Losses):
    """Squared error, in standard deviations of each column that are left by the best fit."""

    stage: StageKind = "none"
    shares = False

    def rescaling(self, outputs: FloatArray, truth: Truth, weights: FloatArray | None) -> Rescaling:
        k = outputs.shape[1]
        return Rescaling(np.ones(k), np.zeros(k))

    def scale(self, truth: Truth) -> FloatArray:
        known = ~np.isnan(truth)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, truth, 0.0)
        mean = filled.sum(axis=0) / count
        spread = np.sqrt(np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0) / count)
        found: FloatArray = np.where(spread > 0.0, spread, 1.0)
        return found

    def value(self, outputs: FloatArray, truth: Truth) -> FloatArray:
        found: FloatArray = 0.5 * np.square(outputs - truth)
        return found

    def slopes(self, outputs: FloatArray, truth: Truth) -> tuple[FloatArray, FloatArray]:
        return outputs - truth, np.ones_like(outputs)


SIGMOID, SQUARED = SigmoidLosses(), SquaredLosses()


def stacked_values(
    losses: Losses,
    fits: Sequence[Fit],
    columns: Sequence[slice],
    truth: Truth,
    folds: Folds,
    *,
    prior: FloatArray,
    groups: IntArray,
    weights: FloatArray | None = None,
) -> StackedHead:
    """Add up fits on the same rows, and rescale the sum; all of it becomes one head.

    - ``fits``: on n rows each, a kernel last. ``columns``: which of the d features each of the
      linear ones reads.
    - ``truth``: shape (n, k), NaN where it is not known.
    - ``folds``: of the rows, with whole groups.
    - ``prior``, shape (K,): shares that the weights are drawn to, counted in images.
    - ``groups``, shape (n,): rows of one group were left out together.
    - ``weights``, shape (n,): of the rows; None counts all alike.
    """
    outputs = [at_all_shares(losses, fit.loo, truth, groups, weights) for fit in fits]
    loo = np.zeros_like(outputs[0])
    for learn, judge in folds:
        here = None if weights is None else weights[learn]
        stack = _Stack(losses, [each[learn] for each in outputs], truth[learn], prior, here)
        loo[judge] = stack.apply([each[judge] for each in outputs])
    stack = _Stack(losses, outputs, truth, prior, weights)
    width = max(block.stop for block in columns)
    weight, bias = np.zeros((width, truth.shape[1])), np.zeros(truth.shape[1])
    kernel, blocks = None, iter(columns)
    for fit, share, each in zip(fits, stack.shares, stack.each, strict=True):
        factor = share * each.scale
        if isinstance(fit, KernelRidge):
            kernel = fit.part.times(np.diag(factor * stack.last.scale))
        else:
            weight[next(blocks)] += fit.weight * factor
        bias += share * each.bias + fit.bias * factor
    return StackedHead(
        weight=weight * stack.last.scale,
        bias=stack.last.apply(bias),
        loo=loo,
        fitted=stack.apply([fit.fitted for fit in fits]),
        shares=stack.shares,
        stage=losses.stage,
        log_losses={losses.stage: _mean_loss(losses, loo, truth)},
        kernel=kernel,
    )


class _Stack:
    """How outputs of K fits become one: rescaled, added up by shares, and rescaled again."""

    def __init__(
        self,
        losses: Losses,
        outputs: Sequence[FloatArray],
        truth: Truth,
        prior: FloatArray,
        weights: FloatArray | None,
    ) -> None:
        self.each = [losses.rescaling(one, truth, weights) for one in outputs]
        step = max(1, len(outputs) * outputs[0].size // _MOST_VALUES)
        some = slice(None, None, step)
        self.shares = np.ones(1)
        if len(outputs) > 1:
            rescaled = [r.apply(o[some]) for r, o in zip(self.each, outputs, strict=True)]
            of_some = None if weights is None else weights[some]
            self.shares = _shares(
                losses, np.stack(rescaled), truth[some], prior / len(truth), of_some
            )
        added = self._added(outputs)
        self.last = losses.rescaling(added, truth, weights)

    def _added(self, outputs: Sequence[FloatArray]) -> FloatArray:
        found = np.zeros_like(outputs[0])
        for share, each, one in zip(self.shares, self.each, outputs, strict=True):
            found += share * each.apply(one)
        return found

    def apply(self, outputs: Sequence[FloatArray]) -> FloatArray:
        """Return outputs (n, k) of K outputs (n, k)."""
        return self.last.apply(self._added(outputs))


def _shares(
    losses: Losses,
    outputs: FloatArray,
    truth: Truth,
    prior: FloatArray,
    weights: FloatArray | None,
) -> FloatArray:
    """Return positive weights (K,) of outputs (K, n, k) that sum to 1.

    They minimise the mean loss of the known cells minus ``prior @ log(weights)``, as
    :func:`frostline.stats.stacking.fit_stack` does for one label an image.
    """
    known = ~np.isnan(truth)
    of_row = np.ones(len(truth)) if weights is None else weights
    cells = known * of_row[:, None]
    cells = cells / max(float(cells.sum()), TINY)
    scale = losses.scale(truth)
    wanted = np.where(known, truth, 0.0) / scale
    given = outputs / scale

    def loss(values: FloatArray) -> float:
        together = np.tensordot(values, given, 1)
        return float(np.sum(cells * losses.value(together, wanted)) - prior @ np.log(values))

    found: FloatArray = prior / prior.sum()
    now = loss(found)
    for _ in range(_MOST_STEPS):
        first, second = losses.slopes(np.tensordot(found, given, 1), wanted)
        slope = np.tensordot(given, cells * first, 2) - prior / found
        flat = (given * (cells * second)).reshape(len(found), -1)
        curvature = flat @ given.reshape(len(found), -1).T
        solved = np.linalg.solve(curvature + np.diag(prior / found**2), slope)
        step = np.negative(solved, dtype=np.float64)
        falling = step < 0
        length = min(1.0, (1.0 - _LEFT) * np.min(found[falling] / -step[falling], initial=np.inf))
        better = line_search(loss, found, step, now=now, length=length, shortest=_SHORTEST)
        if better is None:
            break
        before = now
        found, now = better
        if before - now <= _SURE or found.sum() > _LARGEST:
            break
    shares: FloatArray = found / found.sum()
    return shares


def at_all_shares(
    losses: Losses,
    loo: FloatArray,
    truth: Truth,
    groups: IntArray,
    weights: FloatArray | None,
) -> FloatArray:
    """Return left-out outputs (n, k) with the mean target of all rows, not of those left.

    Without a row the share of its labels is smaller, and the intercept says so: an error that no
    new image meets. Rows of a larger group stay as they are, and so do numbers.
    """
    if not losses.shares:
        return loo
    known = ~np.isnan(truth)
    heft = known * (np.ones(len(truth)) if weights is None else weights)[:, None]
    has = heft * np.where(known, truth, 0.0)
    _, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    alone = (sizes[of_row] == 1)[:, None]
    total, of_all = heft.sum(axis=0), has.sum(axis=0)
    left = total - heft
    others = np.where(left > 0, (of_all - has) / np.where(left > 0, left, 1.0), 0.0)
    mean = of_all / np.maximum(total, TINY)
    found: FloatArray = loo + (alone & (left > 0)) * (mean - others)
    return found


def _mean_loss(losses: Losses, outputs: FloatArray, truth: Truth) -> float:
    known = ~np.isnan(truth)
    scale = losses.scale(truth)
    each = losses.value(outputs / scale, np.where(known, truth, 0.0) / scale)
    return float(np.sum(known * each) / max(1, int(known.sum())))
