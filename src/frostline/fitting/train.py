"""Train what a plan says, and calibrate it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from frostline.compute.frozen import Frozen
from frostline.compute.torch_context import torch_context
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.plan import Plan
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.evidence.evidence import Evidence
from frostline.evidence.probes import ALL
from frostline.fitting.inputs import FitInputs
from frostline.fitting.operating import (
    NOTHING,
    LeftOut,
    Operating,
    fit_operating,
)
from frostline.fitting.operating_scores import expected_answers
from frostline.stats.conformal import OWN_GROUPS
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.metrics import Judge
from frostline.stats.out_of_fold import OutOfFold
from frostline.strategy.race import FoldResult
from frostline.training.blend import blended_logits
from frostline.training.ood import FittedOOD, fit_ood
from frostline.training.result import Trained
from frostline.training.train import Given, train


@dataclass(frozen=True)
class Fitted:
    """A plan that was carried out, with its calibrated classifier.

    ``left_out`` are the probe's leave-one-out probabilities for the training rows, when there was
    evidence and the classifier has no such outputs for all of them itself. ``rule`` says which
    class is answered for given probabilities. ``ood`` tells which
    images are unlike those of training, once :func:`with_ood` was asked. ``operating``: which
    classes an image may be of, and when to abstain.
    """

    plan: Plan
    trained: Trained
    temperature: float
    left_out: OutOfFold | None = None
    rule: DecisionRule = LIKELIEST
    ood: FittedOOD | None = None
    operating: Operating = NOTHING

    def logits(self, frozen: Frozen, rows: IntArray) -> FloatArray:
        """Logits of shape (len(rows), k) for rows of the catalog, not calibrated."""
        return logits_of(self.trained, frozen, rows)

    def probabilities(self, frozen: Frozen, rows: IntArray) -> FloatArray:
        """Calibrated probabilities of shape (len(rows), k) for rows of the catalog."""
        return self.trained.target.link(self.logits(frozen, rows), self.temperature)

    @property
    def out_of_fold(self) -> list[OutOfFold]:
        """Probabilities of training rows by fits without them, the most trusted first."""
        rows, logits = self.trained.out_of_fold_rows, self.trained.out_of_fold_logits
        prediction = self.trained.target.link(logits, self.temperature)
        own = [OutOfFold(rows, prediction)] if len(rows) else []
        return own if self.left_out is None else [*own, self.left_out]


def train_plan(
    inputs: FitInputs,
    plan: Plan,
    rows: IntArray,
    runtime: Runtime,
    given: Given,
    evidence: Evidence | None = None,
) -> Fitted:
    """Carry a plan out on ``rows``, and calibrate what comes of it.

    Nothing else is learned from. ``evidence`` is what the plan was decided by; its fits serve as
    heads.
    """
    if evidence is not None:
        given = replace(given, probe=evidence.ridge, kernel=evidence.kernel)
    with torch_context(runtime, load=not plan.action.closed_form):
        trained = train(inputs.problem, inputs.frozen, plan.action, rows, runtime, given)
    left_out = None if evidence is None else _left_out(inputs.problem, trained, evidence)
    temperature = temperature_of(inputs.problem, trained)
    rule = rule_of(inputs.problem, trained, rows, temperature)
    calibrating = _calibrating(inputs, trained, temperature, given.validation)
    operating = fit_operating(inputs.problem, calibrating, rule, rows)
    asked = inputs.settings.at_most_wrong
    answering = (
        None
        if asked is None
        else expected_answers(inputs.problem, operating, calibrating, rule, asked)
    )
    if answering != plan.answering:
        plan = plan.model_copy(update={"answering": answering})
    return Fitted(plan, trained, temperature, left_out, rule, operating=operating)


def with_ood(inputs: FitInputs, fitted: Fitted, rows: IntArray, runtime: Runtime) -> Fitted:
    """Return the same classifier, with a score of what is unlike its training rows."""
    ood = fit_ood(inputs.problem, inputs.frozen, fitted.trained, rows, runtime)
    return replace(fitted, ood=ood)


def judge_by(
    problem: Problem, frozen: Frozen, trained: Trained, rows: IntArray, *, learned: IntArray
) -> FoldResult:
    """Say which of ``rows`` a classifier gets right, and how sure it is of the truth.

    ``learned``: the rows that it was trained on.
    """
    logits = logits_of(trained, frozen, rows)
    target, truth = problem.target, problem.labels[rows]
    temperature = temperature_of(problem, trained)
    rule = rule_of(problem, trained, learned, temperature)
    judge = Judge(problem.metric, rule, truth, problem.image_weights(rows))
    prediction, groups = target.link(logits, temperature), problem.groups[rows]
    return FoldResult.of(target, prediction, truth, groups, None if judge.plain else judge)


def _left_out(problem: Problem, trained: Trained, evidence: Evidence) -> OutOfFold | None:
    if len(trained.out_of_fold_rows) == len(evidence.rows):
        return None
    prediction = problem.labelled(evidence.rows).calibrated(evidence.ridge[ALL].loo)
    return OutOfFold(evidence.rows, prediction)


def _calibrating(
    inputs: FitInputs, trained: Trained, temperature: float, validation: IntArray | None
) -> LeftOut:
    """Return the images that may set thresholds: none of them taught what scores them.

    A validation part that a head in closed form did not look at is scored by the model itself.
    """
    target, groups = inputs.problem.target, inputs.problem.groups
    closed = trained.action.closed_form
    if closed and validation is not None and len(np.unique(groups[validation])) >= OWN_GROUPS:
        logits = logits_of(trained, inputs.frozen, validation)
        return LeftOut(validation, target.link(logits, temperature), "split")
    told = target.link(trained.out_of_fold_logits, temperature)
    return LeftOut(trained.out_of_fold_rows, told, "cross" if closed else "split")


def temperature_of(problem: Problem, trained: Trained) -> float:
    """Return what calibrates the logits, by images that did not teach; 1 where there are none."""
    if not len(trained.out_of_fold_rows):
        return 1.0
    return problem.labelled(trained.out_of_fold_rows).calibrate(trained.out_of_fold_logits)


def rule_of(problem: Problem, trained: Trained, rows: IntArray, temperature: float) -> DecisionRule:
    """Return how classes follow from the probabilities of a classifier that learned from rows."""
    metric, seen = problem.metric, problem.labelled(rows)
    if metric.plain:
        return LIKELIEST
    left_out = problem.target.link(trained.out_of_fold_logits, temperature)
    truth = problem.labels[trained.out_of_fold_rows]
    return problem.target.rule(metric, left_out, truth, (seen.truth, seen.weights))


def logits_of(trained: Trained, frozen: Frozen, rows: IntArray) -> FloatArray:
    """Logits for rows of the catalog; a head on taps needs no image again."""
    if trained.members:
        each = [logits_of(member, frozen, rows) for member in trained.members]
        return blended_logits(trained, each)
    if trained.action.closed_form and not trained.action.adapts_statistics:
        features = frozen.features.table(trained.action.taps, rows)
        return trained.classifier.leader.logits(features)
    batches = frozen.runner.batches(rows)
    return trained.classifier.run(batches, frozen.network.preprocessing).astype(np.float64)
