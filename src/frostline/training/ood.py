"""Fit the score for out-of-distribution images to what the head sees of training images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.compute.frozen import Frozen
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.errors import InputError
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.data.splitting.sampling import chosen_rows
from frostline.stats.ood import OODScorer, fit_ood_scorer
from frostline.stats.rejection import FEW_SCORES, acceptance_threshold
from frostline.stats.selection import Features
from frostline.training.memoized_ood import memoized_ood
from frostline.training.result import Trained

#: images that the score is fitted to; where they pass through the network again, fewer
_MOST, _MOST_COMPUTED = 1000, 500
#: fewer images show nothing
_FEWEST = 10
#: a validation part of fewer images cannot set a threshold
_FEWEST_HELD = 20
#: few images have more folds: each fold's fit should lack little of what the last one has
_FOLDS, _MANY_FOLDS, _FEW_IMAGES = 5, 10, 300


@dataclass(frozen=True)
class FittedOOD:
    """A score for out-of-distribution (OOD) images, and what it rests on.

    ``scorer``: on the input of the classifier's head; a score of 1 is the threshold.
    ``n_fitted``: images that it rests on. ``n_threshold``: images that set the threshold, none of
    which taught what scored it.
    """

    scorer: OODScorer
    n_fitted: int
    n_threshold: int

    @property
    def rough(self) -> bool:
        """Whether so few images set the threshold that another one may lie elsewhere."""
        return self.n_threshold < FEW_SCORES


def fit_ood(
    problem: Problem, frozen: Frozen, trained: Trained, rows: IntArray, runtime: Runtime
) -> FittedOOD | None:
    """Learn from training images which images are like them.

    The threshold leaves in 95 % of images that were left out: for frozen features those of
    folds, which split no group; for trained layers those of the validation part, which the
    layers never learned from. Without such a part folds have to do, although the layers know
    those images already.

    ``rows``, shape (n,): training rows of the catalog. The result: None with fewer than 10 training
    images, or where all images look the same to it.
    """
    lead = trained.frozen_leader
    closed_form = lead.action.closed_form
    held = lead.out_of_fold_rows
    judged_apart = not closed_form and len(held) >= _FEWEST_HELD
    teaching = np.setdiff1d(rows, held) if judged_apart else rows
    most = _MOST if closed_form else _MOST_COMPUTED
    digests = frozen.catalog.digests
    some = chosen_rows(digests, teaching, most)
    if len(some) < _FEWEST:
        return None
    # folds of frozen features that re-estimated statistics need exactly the rows that taught
    features = np.asarray(_head_input(lead, frozen, some, runtime, trained_on=rows))
    blocks = lead.classifier.leader.blocks
    try:
        if judged_apart:
            found = fit_ood_scorer(features, blocks=blocks)
            held = chosen_rows(digests, held, most)
            distances = found.distances(
                np.asarray(_head_input(lead, frozen, held, runtime, trained_on=rows))
            )
        else:
            folds = problem.folds(some, _FOLDS if len(some) >= _FEW_IMAGES else _MANY_FOLDS)
            fitted = memoized_ood(features, folds, blocks, threads=runtime.threads)
            found, distances = fitted.scorer, fitted.distances
    except InputError:
        return None
    found = found.normalised_by(distances)
    found = found.with_threshold(acceptance_threshold(found.score_of(distances)))
    return FittedOOD(found, len(some), len(distances))


def ood_scores_of(
    ood: FittedOOD, trained: Trained, frozen: Frozen, rows: IntArray, runtime: Runtime
) -> FloatArray:
    """Return the scores (len(rows),) of rows of the catalog; above 1 is unknown."""
    lead = trained.frozen_leader
    return ood.scorer.scores(np.asarray(_head_input(lead, frozen, rows, runtime, trained_on=None)))


def _head_input(
    lead: Trained, frozen: Frozen, rows: IntArray, runtime: Runtime, *, trained_on: IntArray | None
) -> Features:
    """What the head sees of some rows: stored taps, or one more pass through the classifier."""
    if lead.action.closed_form:
        taps = lead.classifier.leader.cuts
        if not lead.action.adapts_statistics:
            return frozen.features.table(taps, rows)
        if trained_on is not None:
            return frozen.runner.adapted(trained_on, runtime).features.table(taps, rows)
    batches = frozen.runner.batches(rows)
    return lead.classifier.leader.head_inputs(batches, frozen.network.preprocessing)
