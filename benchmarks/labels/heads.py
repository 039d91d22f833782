"""The head of a fit, and what scikit-learn's logistic regression makes of the same taps."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from benchmarks.labels.sets import Array, Taps
from frostline.core.threads import blas_threads
from frostline.data.splitting.stratified import stratified_folds
from frostline.evidence.collect import FEWEST_TO_COMPARE
from frostline.evidence.stacked import best_head
from frostline.stats.kernel_ridge import kernel_ridge
from frostline.stats.metrics import ACCURACY
from frostline.stats.ridge import ridge_loo
from frostline.stats.stacked_head import STACK_FOLDS
from frostline.targets.labelled import Labelled
from frostline.targets.multi_label import MultiLabel
from frostline.targets.protocol import Target
from frostline.targets.single_label import SingleLabel

#: what the inverse penalty is chosen from, and the folds that choose
CS, SCALED_CS, _FOLDS = np.logspace(-5, 0, 6), np.logspace(-2, 3, 6), 3
#: as scikit-learn's, so that no fit ends early
_MOST_STEPS = 3000


@dataclass(frozen=True)
class Told:
    """Probabilities of the images that judge, and processor seconds that they took.

    ``left_out``: of the images that teach, by fits without each; None from peers.
    """

    probabilities: Array
    seconds: float
    left_out: Array | None = None


def ours(taps: Taps, truth: Array, teach: Array, judge: Array) -> Told:
    """Fit the head that a fit makes: heads at every depth, added up and calibrated."""
    began = time.process_time()
    several = truth.ndim == 2
    target: Target = MultiLabel(truth.shape[1]) if several else SingleLabel(int(truth.max()) + 1)
    X, groups = taps.features[teach], taps.groups[teach]
    digests = [taps.digests[row] for row in teach.tolist()]
    labelled = Labelled(target, truth[teach], groups, metric=target.metric(ACCURACY))
    parts = [slice(0, b.stop - b.start) for b in taps.blocks]
    with blas_threads(1):
        whole = ridge_loo(X, labelled.matrix, groups=groups, blocks=taps.blocks)
        each = [
            ridge_loo(X[:, block], labelled.matrix, groups=groups, blocks=[own])
            for block, own in zip(taps.blocks, parts, strict=True)
        ]
        kernel = None
        if target.compared and len(teach) >= FEWEST_TO_COMPARE:
            kernel = kernel_ridge(X, labelled.matrix, blocks=taps.blocks, groups=groups, seed=0)
        folds = stratified_folds(
            target.split_by(labelled.truth), groups, digests, n_folds=STACK_FOLDS, seed=0
        )
        columns = [slice(0, X.shape[1]), *taps.blocks]
        head, _ = best_head([whole, *each], columns, labelled, folds, kernel)
        temperature = labelled.calibrate(head.loo)
        test = taps.features[judge].astype(np.float64)
        outputs = test @ head.weight + head.bias
        if head.kernel is not None:
            outputs += head.kernel.outputs(test)
    told = target.link(outputs, temperature)
    return Told(told, time.process_time() - began, target.link(head.loo, temperature))


def logistic(
    taps: Taps,
    truth: Array,
    teach: Array,
    judge: Array,
    *,
    chosen: bool = False,
    scaled: bool = False,
) -> Told:
    """Fit one logistic regression a label on standardised taps side by side.

    ``chosen``: the penalty of each by cross-validated average precision, in place of ``C=1``. The
    images are then rotated into the space that they span, which leaves every fit as it is and
    makes it faster. ``scaled``: every tap counts alike, however many channels it has, as here.
    """
    began = time.process_time()
    scaler = StandardScaler()
    X = scaler.fit_transform(taps.features[teach].astype(np.float64))
    test = scaler.transform(taps.features[judge].astype(np.float64))
    if scaled:
        for block in taps.blocks:
            width = np.sqrt(block.stop - block.start)
            X[:, block] /= width
            test[:, block] /= width
    groups, grid = taps.groups[teach], (SCALED_CS if scaled else CS) if chosen else None
    with blas_threads(1), warnings.catch_warnings():
        # of names that will change
        warnings.simplefilter("ignore", FutureWarning)
        if chosen:
            _, sizes, turned = np.linalg.svd(X, full_matrices=False)
            turned = turned[sizes > 1e-9 * sizes[0]]
            X, test = X @ turned.T, test @ turned.T
        columns = [
            _one(X, own, groups, grid).predict_proba(test)[:, 1]
            for own in truth[teach].T.astype(int)
        ]
    return Told(np.stack(columns, axis=1), time.process_time() - began)


def _one(X: Array, y: Array, groups: Array, grid: Array | None) -> Any:
    if grid is None:
        return LogisticRegression(C=1.0, max_iter=_MOST_STEPS).fit(X, y)
    if len(np.unique(groups)) == len(groups):
        folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(X, y))
    else:
        folds = list(GroupKFold(_FOLDS).split(X, y, groups))
    return LogisticRegressionCV(
        Cs=grid, cv=folds, scoring="average_precision", max_iter=_MOST_STEPS
    ).fit(X, y)
