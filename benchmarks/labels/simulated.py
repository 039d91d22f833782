"""What no real set can show: does an interval hold the truth, and what do unknown cells cost?"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.labels.sets import Array
from frostline.core.threads import blas_threads
from frostline.stats.label_ranking import average_precision
from frostline.stats.precision_intervals import mean_average_precision
from frostline.stats.ridge import ridge_loo
from frostline.stats.score_intervals import bounded_interval
from frostline.stats.target_matrix import Values

#: share of images with each label, and how far their scores lie apart in standard deviations
_KINDS = ((0.05, 1.0), (0.05, 2.0), (0.02, 2.0), (0.3, 1.0))
_IMAGES, _LABELS, _DRAWS, _MANY = (100, 500), (1, 20), 100, 1_000_000
#: labels, images and channels of ridge fits with unknown cells, and their share
_SIZES, _UNKNOWN = ((20, 1000, 600), (1000, 1000, 600)), 0.05


def intervals() -> dict[str, Any]:
    """Return how often intervals of mean average precision hold the truth: 95 % are meant.

    ``by_influences``: around the score, by what each image changes in it.
    """
    rows = []
    for share, apart in _KINDS:
        p, y = _drawn(_MANY, 1, share, apart, seed=1_000_000)
        truth, _ = average_precision(p[:, 0], y[:, 0])
        for n in _IMAGES:
            for n_labels in _LABELS:
                found = [_one(n, n_labels, share, apart, seed) for seed in range(_DRAWS)]
                scores, own, plain = (np.array(each) for each in zip(*found, strict=True))
                rows.append(
                    {
                        "share": share,
                        "apart": apart,
                        "images": n,
                        "labels": n_labels,
                        "truth": truth,
                        "mean_score": float(scores.mean()),
                        "held": _held(own, truth),
                        "width": float(np.diff(own).mean()),
                        "by_influences": _held(plain, truth),
                        "width_by_influences": float(np.diff(plain).mean()),
                    }
                )
    return {"draws": _DRAWS, "rows": rows}


def unknown_cells() -> dict[str, Any]:
    """Return processor seconds of one ridge fit of labels with unknown cells, and without any."""
    rng, rows = np.random.default_rng(0), []
    for n_labels, n, d in _SIZES:
        X = rng.normal(size=(n, d))
        truth = (rng.random((n, n_labels)) < 0.1).astype(np.float64)
        partly = np.where(rng.random(truth.shape) < _UNKNOWN, np.nan, truth)
        row: dict[str, Any] = {"labels": n_labels, "images": n, "channels": d}
        for name, targets in (("unknown", partly), ("known", truth)):
            began = time.process_time()
            with blas_threads(1):
                ridge_loo(X, Values(targets))
            row[name] = round(time.process_time() - began, 2)
        rows.append(row)
    return {"share": _UNKNOWN, "rows": rows}


def _one(
    n: int, n_labels: int, share: float, apart: float, seed: int
) -> tuple[float, tuple[float, float], tuple[float, float]]:
    p, y = _drawn(n, n_labels, share, apart, seed)
    codes = np.arange(n)
    score, own = mean_average_precision(p, y, np.ones(y.shape, dtype=bool), codes)
    each = [average_precision(p[:, c], y[:, c]) for c in np.flatnonzero(y.any(axis=0))]
    pull = np.mean([pull for _, pull in each], axis=0)
    rests_on = int(y.any(axis=1).sum())
    return score, own, bounded_interval(score + n * pull, codes, n_independent=rests_on)


def _drawn(n: int, n_labels: int, share: float, apart: float, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.random((n, n_labels)) < share
    y[0] |= ~y.any(axis=0)
    return rng.normal(size=y.shape) + apart * y, y


def _held(ends: Array, truth: float) -> float:
    return float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())
