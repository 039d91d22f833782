"""The procedure: evidence, strategy, training. The final fit and every fold call this alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frostline.backbones.heads.source_classifier import source_classifier
from frostline.backbones.run_module import run_module
from frostline.compute.frozen import Frozen
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.plan import EvidenceSummary, NetworkResult, Plan
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.problem import Problem
from frostline.evidence.evidence import FAR, Evidence
from frostline.evidence.memoized import gather_evidence
from frostline.evidence.probes import ALL
from frostline.stats.inputs import linear_outputs
from frostline.stats.out_of_fold import OutOfFold
from frostline.strategy.context import Context
from frostline.strategy.decide import Decision, after_race, decide
from frostline.strategy.race import FOLDS as RACE_FOLDS
from frostline.strategy.race import Entry, FoldResult, plan_race, run_race
from frostline.training.blend import blended_logits
from frostline.training.familiar import Familiar, learn_familiar
from frostline.training.layers import with_layers
from frostline.training.result import Trained
from frostline.training.train import Given, train
from frostline.wording.decision import with_sentences

#: effort "fast" looks at fewer images than this a second time, through adapted norm layers
_SECOND_PASS_BELOW = 1000


@dataclass(frozen=True)
class Task:
    """What every fit of one run shares.

    ``given_plan`` says that the plan came from the user, so nothing decides anew. ``networks`` are
    those that were compared, when there was a choice.
    """

    problem: Problem
    frozen: Frozen
    settings: Settings
    given_plan: bool = False
    networks: tuple[NetworkResult, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """A plan that was carried out, with its calibrated classifier.

    ``left_out`` are the probe's leave-one-out probabilities for the training rows, when there was
    evidence and the classifier has no such outputs for all of them itself. ``familiar`` tells which
    images are unlike those of training, once :func:`know_what_is_familiar` was asked.
    """

    plan: Plan
    trained: Trained
    temperature: float
    left_out: OutOfFold | None = None
    familiar: Familiar | None = None

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


def gather(
    task: Task, rows: IntArray, runtime: Runtime, *, known: EvidenceSummary | None = None
) -> Evidence:
    """Collect the evidence on ``rows``; ``known`` is that of all rows, when these are a fold."""
    adapt_when = _adapt_when(task, rows, known)
    return gather_evidence(
        task.problem,
        task.frozen,
        rows,
        runtime,
        source=source_classifier(task.frozen.network) if known is None else None,
        adapt_when=adapt_when,
        mirrored=task.settings.may_train,
        known=known,
    )


def _adapt_when(task: Task, rows: IntArray, known: EvidenceSummary | None) -> tuple[str, ...]:
    """Shifts at which re-estimated statistics are tried; on a fold only if chosen before."""
    if known is not None and known.adapted is None:
        return ()
    if task.settings.effort != "fast":
        return FAR
    # at a moderate shift they cost accuracy in four of five measured cells, and a second pass
    return ("different",) if len(rows) < _SECOND_PASS_BELOW else ()


def make_context(task: Task, evidence: Evidence, runtime: Runtime, *, refits: float) -> Context:
    """Put together what the strategy needs."""
    return Context(
        network=task.frozen.network.summary(
            inner=[] if task.settings.cut is None else [task.settings.cut]
        ),
        evidence=evidence,
        settings=task.settings,
        device=runtime.device,
        refits=refits,
        networks=task.networks,
        flip=evidence.flip_safe,
    )


def fit_once(
    task: Task,
    rows: IntArray,
    runtime: Runtime,
    *,
    plan: Plan | None = None,
    validation_rows: IntArray | None = None,
    refits: float = 1.0,
    checkpoint_dir: Path | None = None,
    known: EvidenceSummary | None = None,
) -> Fitted:
    """Decide on ``rows`` (unless a plan is given), train on them, calibrate on them.

    Parameters
    ----------
    task : Task
    rows : int array
        Training rows: nothing else is learned from.
    runtime : Runtime
    plan : Plan or None, default=None
        Carried out as it is when given.
    validation_rows : int array or None, default=None
        A validation part that the user gave; otherwise one is drawn from ``rows`` when needed.
    refits : float, default=1.0
        How often the training will run altogether (for its share of the budget).
    checkpoint_dir : Path or None, default=None
        Where gradient training keeps its state, so that it can be resumed.
    known : EvidenceSummary or None, default=None
        The evidence on all training rows, when ``rows`` is a fold of them.
    """
    if plan is not None:
        given = Given(validation=validation_rows, checkpoint_dir=checkpoint_dir)
        trained = train(task.problem, task.frozen, plan.action, rows, runtime, given)
        return Fitted(plan, trained, temperature_of(task.problem, trained))
    evidence = gather(task, rows, runtime, known=known)
    context = make_context(task, evidence, runtime, refits=refits)
    decision = decide(context)
    plan = decision.plan
    if decision.entrants:
        plan = _raced(task, context, decision, rows, runtime, checkpoint_dir)
    plan = with_sentences(with_layers(plan, task.frozen.network))
    if plan.estimated_seconds:
        runtime.progress.note(
            f"Plan: {plan.chosen}, about {plan.estimated_seconds / 60:.1f} nominal minutes."
        )
    given = Given(evidence.ridge, validation_rows, checkpoint_dir)
    trained = train(task.problem, task.frozen, plan.action, rows, runtime, given)
    temperature = temperature_of(task.problem, trained)
    return Fitted(plan, trained, temperature, _left_out(task.problem, trained, evidence))


def know_what_is_familiar(task: Task, fitted: Fitted, rows: IntArray, runtime: Runtime) -> Fitted:
    """Return the same classifier, with what it learned to be familiar from its training rows."""
    familiar = learn_familiar(task.problem, task.frozen, fitted.trained, rows, runtime)
    return replace(fitted, familiar=familiar)


def _raced(
    task: Task,
    context: Context,
    decision: Decision,
    rows: IntArray,
    runtime: Runtime,
    checkpoint_dir: Path | None,
) -> Plan:
    """Let the options run on folds of the training rows; return the plan that the score chose."""
    work = plan_race(context, [decision.head], decision.entrants)
    runtime.progress.note(
        f"Race: {len(work.heats)} options, about {work.seconds / 60:.1f} nominal minutes."
    )
    problem, frozen = task.problem, task.frozen
    folds = problem.folds(rows, RACE_FOLDS)
    with runtime.progress.task("Race", len(work.heats)) as bar:

        def runner(entry: Entry, fold: int) -> FoldResult:
            learn, judge = (rows[part] for part in folds[fold % len(folds)])
            place = None
            if checkpoint_dir is not None:
                number = (work.finals if fold else work.heats).index(entry)
                place = checkpoint_dir / "race" / f"{number}-{fold}"
            # the list of work is fixed: what learns nothing here is out
            given = Given(checkpoint_dir=place, retry=False)
            trained = train(problem, frozen, entry.action, learn, runtime.quiet(), given)
            if fold == 0:
                bar.advance()
            runtime.cancel.check()
            return judge_by(problem, frozen, trained, judge)

        standings = run_race(work, runner)
    return after_race(context, decision, work, standings)


def judge_by(problem: Problem, frozen: Frozen, trained: Trained, rows: IntArray) -> FoldResult:
    """Say which of ``rows`` a classifier gets right, and how sure it is of the truth."""
    logits = logits_of(trained, frozen, rows)
    target, truth = problem.target, problem.labels[rows]
    prediction = target.link(logits, temperature_of(problem, trained))
    return FoldResult.of(target, prediction, truth, problem.groups[rows])


def _left_out(problem: Problem, trained: Trained, evidence: Evidence) -> OutOfFold | None:
    if len(trained.out_of_fold_rows) == len(evidence.rows):
        return None
    outputs = evidence.ridge[ALL].loo
    temperature = problem.target.calibrate(outputs, problem.labels[evidence.rows])
    return OutOfFold(evidence.rows, problem.target.link(outputs, temperature))


def temperature_of(problem: Problem, trained: Trained) -> float:
    """Return what calibrates the logits, by images that did not teach; 1 where there are none."""
    if not len(trained.out_of_fold_rows):
        return 1.0
    truth = problem.labels[trained.out_of_fold_rows]
    return problem.target.calibrate(trained.out_of_fold_logits, truth)


def logits_of(trained: Trained, frozen: Frozen, rows: IntArray) -> FloatArray:
    """Logits for rows of the catalog; a head on taps needs no image again."""
    if trained.members:
        each = [logits_of(member, frozen, rows) for member in trained.members]
        return blended_logits(trained, each)
    if trained.action.closed_form and not trained.action.adapts_statistics:
        head = trained.module.leader.head
        weight = head.weight.detach().double().numpy()
        bias = head.bias.detach().double().numpy()
        return linear_outputs(frozen.features.table(trained.action.taps, rows), weight.T, bias)
    found = run_module(trained.module, frozen.runner.batches(rows), frozen.network.preprocessing)
    return found.astype(np.float64)
