"""How good a run is: scores on held-out images, and what limits their worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from frostline.core.arrays import BoolArray, IntArray
from frostline.core.run_record import UnknownImages
from frostline.core.score_record import (
    Baseline,
    Calibration,
    CalibrationScores,
    HeldOutScores,
    ScoresWithoutLeaks,
)
from frostline.data.audit import Audit
from frostline.data.problem import Problem
from frostline.data.splitting.split import Split
from frostline.data.unseen import Blank
from frostline.fitting.assess import Assessed
from frostline.fitting.inputs import FitInputs
from frostline.fitting.train import Fitted
from frostline.stats.caveats import Caveat, caveats, largest_class, value_caveats
from frostline.stats.intervals import mean_error
from frostline.stats.metrics import ExpectedCost
from frostline.stats.rejection import ACCEPTED
from frostline.stats.reliability import chance_calibration_error
from frostline.stats.scores import Scores, score


@dataclass(frozen=True)
class Measured:
    """Scores on held-out images, what is recorded of them, and what limits their worth.

    ``scores``: :class:`~frostline.stats.scores.Scores` where an image has one class, else the
    record.
    """

    scores: Any
    record: HeldOutScores
    caveats: list[Caveat]


def measure(inputs: FitInputs, audit: Audit, split: Split, assessed: Assessed) -> Measured:
    """Score held-out predictions, with and without images that leaked into the test part."""
    classes = inputs.frozen.catalog.classes
    problem = inputs.problem
    if assessed.expected is None:
        return _of_values(inputs, audit, assessed)
    truth, groups = problem.labels[assessed.rows], problem.groups[assessed.rows]
    seed = inputs.settings.seed
    metric, answers = problem.metric, assessed.decided
    costs = metric.costs if isinstance(metric, ExpectedCost) else None
    scores = score(
        assessed.probabilities, truth, seed=seed, groups=groups, answers=answers, costs=costs
    )
    baseline = largest_class(problem.labels[split.train], truth)
    clean = ~audit.leaked[assessed.rows]
    record = HeldOutScores(
        method=assessed.method,
        folds=assessed.folds,
        expected_accuracy=assessed.expected.accuracy,
        expected_interval=assessed.expected.interval,
        baseline=Baseline(always=classes[baseline.label], accuracy=baseline.accuracy),
        **scores.to_json(classes),
        **_of_target(inputs, assessed),
        **_by_metric(problem, assessed),
        calibration=_calibration(assessed, scores, truth),
    )
    given = assessed.method == "given"
    if given and not clean.all() and clean.any():
        probabilities = assessed.probabilities[clean]
        without = score(
            probabilities, truth[clean], seed=seed, groups=groups[clean], answers=answers[clean]
        )
        record = record.model_copy(update={"without_leaks": _without_leaks(without)})
    leaked = float(1.0 - clean.mean()) if given else 0.0
    blank = float(np.mean(inputs.frozen.features.facts.blank != Blank.NO))
    found = caveats(scores, baseline, classes, leaked=leaked, blank=blank)
    return Measured(scores, record, found)


def _of_values(inputs: FitInputs, audit: Audit, assessed: Assessed) -> Measured:
    """Score several labels, or numbers, by what the target scores them by."""
    record = HeldOutScores(
        method=assessed.method,
        folds=assessed.folds,
        classes=inputs.frozen.catalog.classes,
        **_of_target(inputs, assessed),
        **_by_metric(inputs.problem, assessed),
    )
    clean = ~audit.leaked[assessed.rows]
    given = assessed.method == "given"
    if given and not clean.all() and clean.any():
        found = _of_target(inputs, assessed, clean)
        told = {name: found[name] for name in ScoresWithoutLeaks.model_fields if name in found}
        record = record.model_copy(update={"without_leaks": ScoresWithoutLeaks(**told)})
    limits = value_caveats(
        "labels" if record.r2 is None else "numbers",
        record.metric_score or 0.0,
        record.metric_error or 0.0,
        [
            (column.column, column.r2_interval[0], column.r2_interval[1])
            for column in record.per_column
            if column.r2_interval is not None
            and column.r2_interval[0] is not None
            and column.r2_interval[1] is not None
        ],
        leaked=float(1.0 - clean.mean()) if given else 0.0,
    )
    return Measured(record, record, limits)


def _of_target(
    inputs: FitInputs, assessed: Assessed, only: BoolArray | slice = slice(None)
) -> dict[str, Any]:
    problem, rows = inputs.problem, assessed.rows[only]
    return problem.target.scores(
        assessed.probabilities[only],
        problem.labels[rows],
        problem.classes,
        decided=assessed.decided[only],
        groups=problem.groups[rows],
    )


def unknown_images(fitted: Fitted, assessed: Assessed) -> UnknownImages | None:
    """Return how the threshold for unknown images came about; None where there is none."""
    ood = fitted.ood
    if ood is None:
        return None
    return UnknownImages(
        accepted=ACCEPTED,
        n_fitted=ood.n_fitted,
        n_threshold=ood.n_threshold,
        rough=ood.rough,
        share_of_held_out=assessed.unknown_share,
    )


def _by_metric(problem: Problem, assessed: Assessed) -> dict[str, Any]:
    """Score by what was wanted, images by their weight, where that is not plain accuracy."""
    labelled, metric = problem.labelled(assessed.rows), problem.metric
    if labelled.plain:
        return {}
    gains = metric.of_answers(
        assessed.probabilities, assessed.decided, labelled.truth, labelled.image_weights
    )
    found = {
        "metric": metric.name,
        "metric_score": float(np.mean(gains)),
        "metric_error": mean_error(gains, labelled.groups),
    }
    return found if labelled.image_weights is None else {**found, "metric_weighted": True}


def _without_leaks(scores: Scores) -> ScoresWithoutLeaks:
    return ScoresWithoutLeaks(
        n=scores.n,
        accuracy=scores.accuracy,
        accuracy_interval=scores.accuracy_interval,
        balanced_accuracy=scores.balanced_accuracy,
    )


def _calibration(assessed: Assessed, scores: Scores, truth: IntArray) -> Calibration:
    """What the temperature changed on held-out images, and what chance alone shows."""
    before = score(assessed.uncalibrated, truth, answers=assessed.decided)
    said = assessed.probabilities[np.arange(len(truth)), assessed.decided]
    return Calibration(
        before=CalibrationScores(ece=before.ece, nll=before.nll),
        after=CalibrationScores(ece=scores.ece, nll=scores.nll),
        ece_by_chance=chance_calibration_error(said),
    )
