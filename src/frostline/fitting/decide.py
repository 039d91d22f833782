"""Decide what to remove, freeze and train: by evidence, and by a race where that pays."""

from __future__ import annotations

from pathlib import Path

from frostline.compute.torch_context import torch_context
from frostline.core.arrays import IntArray
from frostline.core.extras import has_extra
from frostline.core.operating_record import AbstentionPoint
from frostline.core.plan import EvidenceSummary, Plan
from frostline.core.runtime import Runtime
from frostline.evidence.evidence import FAR, Evidence
from frostline.evidence.memoized import gather_evidence
from frostline.evidence.probes import ALL
from frostline.fitting.inputs import FitInputs
from frostline.fitting.operating import LeftOut, fit_operating
from frostline.fitting.operating_scores import expected_answers
from frostline.fitting.pretraining import learned_from
from frostline.fitting.train import judge_by
from frostline.strategy.context import Context
from frostline.strategy.decide import Decision, after_race, decide
from frostline.strategy.race import FOLDS as RACE_FOLDS
from frostline.strategy.race import Entry, FoldResult, plan_race, run_race
from frostline.training.layers import with_layers
from frostline.training.train import Given, train
from frostline.wording.decision import with_sentences

#: effort "fast" looks at fewer images than this a second time, through adapted norm layers
_SECOND_PASS_BELOW = 1000


def decide_plan(
    inputs: FitInputs,
    rows: IntArray,
    runtime: Runtime,
    *,
    refits: float = 1.0,
    checkpoint_dir: Path | None = None,
    known: EvidenceSummary | None = None,
) -> tuple[Plan, Evidence]:
    """Decide by the evidence on ``rows`` and, where that is worth it, a race on folds of them.

    Nothing but ``rows`` is looked at. ``refits`` says how often the training will run altogether,
    for its share of the budget; ``checkpoint_dir`` is where options that race keep their state;
    ``known`` is the evidence on all training rows, when ``rows`` is a fold of them.
    """
    evidence = gather(inputs, rows, runtime, known=known)
    context = make_context(inputs, evidence, runtime, refits=refits)
    decision = decide(context)
    plan = decision.plan
    if decision.challengers:
        plan = _raced(inputs, context, decision, rows, runtime, checkpoint_dir)
    return with_sentences(with_layers(plan, inputs.frozen.network)), evidence


def advised_plan(inputs: FitInputs, rows: IntArray, runtime: Runtime, *, refits: float) -> Plan:
    """Return the plan that the evidence alone proposes; nothing is trained."""
    evidence = gather(inputs, rows, runtime)
    context = make_context(inputs, evidence, runtime, refits=refits)
    plan = with_sentences(with_layers(decide(context).plan, inputs.frozen.network))
    return plan.model_copy(update={"answering": _answering(inputs, evidence)})


def _answering(inputs: FitInputs, evidence: Evidence) -> AbstentionPoint | None:
    """Return how many images frozen features of all depths would answer under the bound."""
    problem, asked = inputs.problem, inputs.settings.at_most_wrong
    if asked is None or problem.target.link_name == "identity":
        return None
    seen = problem.labelled(evidence.rows)
    told = seen.calibrated(evidence.ridge[ALL].loo)
    left_out, rule = LeftOut(evidence.rows, told, "cross"), seen.judge(told).rule
    operating = fit_operating(problem, left_out, rule, evidence.rows)
    return expected_answers(problem, operating, left_out, rule, asked)


def gather(
    inputs: FitInputs, rows: IntArray, runtime: Runtime, *, known: EvidenceSummary | None = None
) -> Evidence:
    """Collect the evidence on ``rows``; ``known`` is that of all rows, when these are a fold."""
    adapt_when = _adapt_when(inputs, rows, known)
    return gather_evidence(
        inputs.problem,
        inputs.frozen,
        rows,
        runtime,
        adapt_when=adapt_when,
        mirrored=inputs.settings.may_train and has_extra("train"),
        known=known,
        learned_from=learned_from(inputs.settings),
    )


def _adapt_when(
    inputs: FitInputs, rows: IntArray, known: EvidenceSummary | None
) -> tuple[str, ...]:
    """Shifts at which re-estimated statistics are tried; on a fold only if chosen before."""
    if known is not None and known.adapted is None:
        return ()
    if inputs.settings.effort != "fast":
        return FAR
    # at a moderate shift they cost accuracy in four of five measured cells, and a second pass
    return ("different",) if len(rows) < _SECOND_PASS_BELOW else ()


def make_context(
    inputs: FitInputs, evidence: Evidence, runtime: Runtime, *, refits: float
) -> Context:
    """Put together what the strategy needs."""
    return Context(
        network=inputs.frozen.network.summary(
            inner=[] if inputs.settings.cut is None else [inputs.settings.cut]
        ),
        evidence=evidence,
        settings=inputs.settings,
        device=runtime.device,
        refits=refits,
        networks=inputs.networks,
        resizes=inputs.resizes,
        flip=evidence.flip_safe,
        can_train=has_extra("train"),
        family=inputs.frozen.network.family,
        metric=inputs.problem.metric.name,
    )


def _raced(
    inputs: FitInputs,
    context: Context,
    decision: Decision,
    rows: IntArray,
    runtime: Runtime,
    checkpoint_dir: Path | None,
) -> Plan:
    """Let the options run on folds of the training rows; return the plan that the score chose."""
    work = plan_race(context, [decision.head], decision.challengers)
    runtime.progress.note(
        f"Race: {len(work.entries)} options, about {work.seconds / 60:.1f} nominal minutes."
    )
    problem, frozen = inputs.problem, inputs.frozen
    folds = problem.folds(rows, RACE_FOLDS)
    with (
        torch_context(runtime, load=True),
        runtime.progress.task("Race", work.n_folds * len(work.entries)) as bar,
    ):

        def runner(entry: Entry, fold: int) -> FoldResult:
            learn, judge = (rows[part] for part in folds[fold % len(folds)])
            place = None
            if checkpoint_dir is not None:
                number = work.entries.index(entry)
                place = checkpoint_dir / "race" / f"{number}-{fold}"
            # the list of work is fixed: what learns nothing here is out
            given = Given(checkpoint_dir=place, retry=False)
            trained = train(problem, frozen, entry.action, learn, runtime.quiet(), given)
            bar.advance()
            runtime.cancel.check()
            return judge_by(problem, frozen, trained, judge, learned=learn)

        standings = run_race(work, runner)
    return after_race(context, decision, work, standings)
