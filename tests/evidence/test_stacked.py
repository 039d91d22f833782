"""When a kernel joins the sum of heads."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.arrays import FloatArray, IntArray
from frostline.evidence.stacked import KERNEL, StackedProbe, best_head, stacked_probe
from frostline.stats.kernel_ridge import kernel_ridge
from frostline.stats.metrics import METRICS
from frostline.stats.ridge import ridge_loo
from frostline.stats.target_matrix import OneHot, Values
from frostline.stats.value_metrics import LabelLogLoss
from frostline.targets.labelled import Labelled
from frostline.targets.multi_label import MultiLabel
from frostline.targets.single_label import SingleLabel

_N = 300
_BLOCKS = [slice(0, 1), slice(1, 3)]
_FOLDS = [(np.flatnonzero(np.arange(_N) % 5 != f), np.arange(f, _N, 5)) for f in range(5)]


def _both(X: FloatArray, y: IntArray, metric: str = "accuracy") -> list[StackedProbe]:
    """Return what is found without a kernel, and with one to choose."""
    target = OneHot(y, 2)
    whole = ridge_loo(X, target)
    taps = {f"tap {i}": ridge_loo(X[:, c], target) for i, c in enumerate(_BLOCKS)}
    labelled = Labelled(SingleLabel(2), y, np.arange(_N), metric=METRICS[metric])
    kernel = kernel_ridge(X, target, blocks=_BLOCKS, seed=0)
    return [stacked_probe(whole, taps, _BLOCKS, labelled, _FOLDS, kernel=k) for k in (None, kernel)]


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss"])
def test_a_kernel_joins_where_no_line_divides_the_classes(metric: str) -> None:
    X = np.random.default_rng(1).normal(size=(_N, 3))
    linear, both = _both(X, (X[:, 1] * X[:, 2] > 0).astype(np.int64), metric)
    assert linear.evidence.accuracy < 0.65
    assert both.evidence.accuracy > 0.85
    assert both.stacking.shares[KERNEL] > 0.1
    assert both.stacking.linear_log_loss == pytest.approx(
        linear.stacking.log_losses[linear.stacking.second_stage]
    )


def test_and_where_none_divides_images_with_a_label_from_those_without() -> None:
    X = np.random.default_rng(3).normal(size=(_N, 3))
    truth = np.stack([X[:, 1] * X[:, 2] > 0, X[:, 0] > 0], axis=1).astype(np.float64)
    truth[::7, 0] = truth[1::9, 1] = np.nan
    target = Values(truth)
    whole = ridge_loo(X, target)
    taps = {f"tap {i}": ridge_loo(X[:, c], target) for i, c in enumerate(_BLOCKS)}
    labelled = Labelled(MultiLabel(2), truth, np.arange(_N), metric=LabelLogLoss())
    kernel = kernel_ridge(X, target, blocks=_BLOCKS, seed=0)
    fits, columns = [whole, *taps.values()], [slice(0, 3), *_BLOCKS]
    linear, loss = best_head(fits, columns, labelled, _FOLDS)
    both, linear_loss = best_head(fits, columns, labelled, _FOLDS, kernel)
    assert loss is None
    assert both.kernel is not None
    assert linear_loss == pytest.approx(linear.log_losses["biases"], rel=0.05)
    crossed = [labelled.target.accuracy(one.loo[:, :1], truth[:, :1]) for one in (linear, both)]
    assert crossed[0] < 0.7
    assert crossed[1] > 0.9
    # the head does what its parts say
    outputs = X @ both.weight + both.bias + both.kernel.outputs(X)
    np.testing.assert_allclose(outputs, both.fitted, atol=1e-6)


def test_and_changes_nothing_where_one_does() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(_N, 3))
    linear, both = _both(X, (X.sum(axis=1) + rng.normal(size=_N) > 0).astype(np.int64))
    np.testing.assert_array_equal(both.gains, linear.gains)
    assert both.stacking == linear.stacking
    assert KERNEL not in both.stacking.shares
    assert both.stacking.linear_log_loss is None
