"""When a kernel joins the sum of heads."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.arrays import FloatArray, IntArray
from frostline.evidence.stacked import KERNEL, StackedProbe, stacked_probe
from frostline.stats.kernel_ridge import kernel_ridge
from frostline.stats.metrics import METRICS
from frostline.stats.ridge import ridge_loo
from frostline.stats.target_matrix import OneHot
from frostline.targets.labelled import Labelled
from frostline.targets.single_label import SingleLabel

_N = 300
_BLOCKS = [slice(0, 1), slice(1, 3)]


def _both(X: FloatArray, y: IntArray, metric: str = "accuracy") -> list[StackedProbe]:
    """Return what is found without a kernel, and with one to choose."""
    target = OneHot(y, 2)
    whole = ridge_loo(X, target)
    taps = {f"tap {i}": ridge_loo(X[:, c], target) for i, c in enumerate(_BLOCKS)}
    folds = [(np.flatnonzero(np.arange(_N) % 5 != f), np.arange(f, _N, 5)) for f in range(5)]
    labelled = Labelled(SingleLabel(2), y, np.arange(_N), metric=METRICS[metric])
    kernel = kernel_ridge(X, target, blocks=_BLOCKS, seed=0)
    return [stacked_probe(whole, taps, _BLOCKS, labelled, folds, kernel=k) for k in (None, kernel)]


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


def test_and_changes_nothing_where_one_does() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(_N, 3))
    linear, both = _both(X, (X.sum(axis=1) + rng.normal(size=_N) > 0).astype(np.int64))
    np.testing.assert_array_equal(both.gains, linear.gains)
    assert both.stacking == linear.stacking
    assert KERNEL not in both.stacking.shares
    assert both.stacking.linear_log_loss is None
