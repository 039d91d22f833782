"""From evidence to a plan: the textbook is where it starts, the evidence where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frostline.core.plan import CandidateResult, Plan
from frostline.core.reasons import (
    AskedFor,
    ExpectedOfRace,
    Fate,
    FrozenOnly,
    NothingToRace,
    NotInstalled,
    NotWorthRacing,
    Reason,
    RunnerUp,
    ToBeRaced,
)
from frostline.evidence.probes import ADAPTED, ALL
from frostline.evidence.stacked import STACKED
from frostline.strategy.blending import FEW_IMAGES
from frostline.strategy.candidates import (
    CLOSED_FORM,
    PORTFOLIO,
    PORTFOLIO_OF_MANY,
    RACED,
    REFERENCE,
    STUDIED,
    TRAINED,
)
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cases import Case, case_of, prior_case
from frostline.strategy.context import Context
from frostline.strategy.cost import RACE_SHARE
from frostline.strategy.expected_gain import expected_gain
from frostline.strategy.gates import makes_sense, simplest_of_the_best, why_not_race
from frostline.strategy.outlook import runner_up
from frostline.strategy.race import RaceEntryState, RaceSchedule, candidates_of, plan_race
from frostline.strategy.replay import settle
from frostline.strategy.thresholds import FITTED
from frostline.strategy.verdict import results

#: share of the usual least gain that is enough where there is time for everything
_OF_THE_PATIENT = 0.2


@dataclass(frozen=True)
class Decision:
    """A plan, and what may race against it.

    ``plan``: to be carried out if there is no race, or if ``head`` wins it. ``head``: the best head
    on frozen features. ``challengers``: options that train layers, for a race against ``head``;
    empty when nothing is to be raced. ``candidates``: every head with its leave-one-out score.
    """

    plan: Plan
    head: Proposal
    challengers: tuple[Proposal, ...]
    candidates: tuple[CandidateResult, ...]


def decide(context: Context) -> Decision:
    """Choose what to remove, freeze and train, as far as the evidence alone can tell.

    With a strategy other than ``auto`` that strategy is carried out as it is defined; the
    evidence is still written down next to it.
    """
    prior = prior_case(context.summary)
    heads = _scored_heads(context)
    head = _simplest_of_the_best(context, [proposal for proposal, _ in heads])
    asked = context.settings.strategy
    chosen = head
    challengers: tuple[Proposal, ...] = ()
    reasons: list[Reason] = [AskedFor(strategy=asked)]
    if asked == "auto":
        challengers, reasons = _challengers(context, head)
    elif asked != "head":
        chosen = TRAINED[asked](context) or head
    scored = [
        result.model_copy(update={"fate": Fate.CHOSEN if proposal == chosen else result.fate})
        for proposal, result in heads
    ]
    others = challengers if chosen == head else (chosen,)
    fate = Fate.TO_BE_RACED
    if challengers and not context.can_train:
        fate, reasons = Fate.NOT_INSTALLED, [_not_installed(challengers)]
        challengers = ()
    waiting = [_unscored(p, Fate.CHOSEN if p == chosen else fate) for p in others]
    plan = make_plan(context, chosen, prior=prior, candidates=[*scored, *waiting], reasons=reasons)
    return Decision(plan, head, challengers, tuple(scored))


def every_option(context: Context) -> list[Proposal]:
    """Return every option there is for this data, sensible or not: what a study compares."""
    found: dict[str, Proposal] = {}
    for propose in (*CLOSED_FORM.values(), *RACED, *STUDIED, *REFERENCE):
        proposal = propose(context)
        if proposal is not None:
            found.setdefault(proposal.name, proposal)
    return list(found.values())


def _unscored(proposal: Proposal, fate: Fate) -> CandidateResult:
    return CandidateResult(
        name=proposal.name,
        kind=proposal.action.kind,
        score=None,
        standard_error=None,
        seconds=round(proposal.seconds, 1),
        fate=fate,
    )


def _not_installed(challengers: Sequence[Proposal]) -> NotInstalled:
    return NotInstalled(extra="train", names=[proposal.name for proposal in challengers])


def after_race(
    context: Context, decision: Decision, work: RaceSchedule, standings: Sequence[RaceEntryState]
) -> Plan:
    """Write down what a race has decided, every option with its score and its fate."""
    seconds = (1 - RACE_SHARE) * context.settings.budget_seconds
    settled = settle(standings, n_images=context.n_images, seconds=seconds)
    winner, blended, chosen = settled.winner, settled.blend, settled.chosen
    expected = [r for r in decision.plan.reasons if isinstance(r, ToBeRaced)]
    reasons: list[Reason] = [settled.reason]
    raced = results(standings, winner)
    if blended is not None:
        names = {member.name for member in blended.members}
        raced = [_beside_average(r, is_member=r.name in names) for r in raced]
        raced.append(blended.result)
        reasons.append(blended.reason)
    reasons += [
        ExpectedOfRace(gain=one.gain, seconds=one.seconds)
        for one in expected
        if one.gain is not None and one.seconds is not None
    ]
    by_name = {result.name: result for result in raced}
    heads = [
        _ended_like(c, by_name[c.name]) if c.name in by_name else c for c in decision.candidates
    ]
    waiting = {p.name: p for p in decision.challengers}
    left = [_unscored(waiting[name], why) for name, why in work.left_out.items()]
    layers = [result for result in raced if result.trains]
    return make_plan(
        context,
        chosen,
        prior=prior_case(context.summary),
        candidates=[*heads, *layers, *left],
        reasons=reasons,
        nearest=_nearest(context, winner, standings) if chosen.probe is not None else None,
    )


def _beside_average(result: CandidateResult, *, is_member: bool) -> CandidateResult:
    """Return the result of an option of which an average was chosen instead."""
    if is_member:
        return result.model_copy(update={"fate": Fate.AVERAGED})
    # what was not chosen after all
    chosen = result.fate is Fate.CHOSEN
    return result.model_copy(update={"fate": Fate.NO_CLEAR_GAIN}) if chosen else result


def _ended_like(result: CandidateResult, raced: CandidateResult) -> CandidateResult:
    return result.model_copy(update={"fate": raced.fate})


def _nearest(
    context: Context, winner: RaceEntryState, standings: Sequence[RaceEntryState]
) -> RunnerUp | None:
    """Return the trained option that came nearest to a head that won."""
    others = [s for s in standings if s is not winner and s.trains]
    if not others:
        return None
    nearest = max(others, key=lambda s: float(s.gains.mean()))
    behind = winner.score - nearest.score
    return runner_up(context.summary, nearest.name, behind)


def make_plan(
    context: Context,
    chosen: Proposal,
    *,
    prior: Case | None,
    candidates: list[CandidateResult],
    reasons: list[Reason],
    nearest: RunnerUp | None = None,
) -> Plan:
    """Write a proposal down as a plan; its layers are named where the network is at hand."""
    return Plan(
        case=case_of(chosen.strategy),
        strategy=context.settings.strategy,
        chosen=chosen.name,
        backbone=context.network.name,
        input_size=context.network.input_size,
        pretraining_size=context.network.pretraining_size,
        seed=context.settings.seed,
        action=chosen.action,
        evidence=context.summary,
        networks=list(context.networks),
        resize=next((one.mode for one in context.resizes if one.chosen), None),
        resizes=list(context.resizes),
        candidates=candidates,
        estimated_seconds=round(chosen.seconds, 1),
        prior_case=None if prior is None else prior.number,
        probe=chosen.probe,
        reasons=reasons,
        runner_up=nearest,
        metric=context.metric or context.settings.metric_name,
    )


def _scored_heads(context: Context) -> list[tuple[Proposal, CandidateResult]]:
    """Return every head in closed form with its leave-one-out score, the simplest first."""
    summary = context.summary
    scores = {p.tap: p for p in (*summary.probes, summary.all_taps)}
    for also in (summary.adapted, summary.stacked):
        if also is not None:
            scores[also.tap] = also
    found = []
    for propose in CLOSED_FORM.values():
        proposal = propose(context)
        if proposal is None or proposal.probe is None:
            continue
        score = scores[proposal.probe]
        result = CandidateResult(
            name=proposal.name,
            kind=proposal.action.kind,
            score=score.reached,
            standard_error=score.reached_error,
            seconds=0.0,
            fate=Fate.SCORED,
        )
        found.append((proposal, result))
    return found


def _simplest_of_the_best(context: Context, heads: list[Proposal]) -> Proposal:
    """Return the first head that hardly loses to the best one, by leave-one-out.

    The stacked head has those of single depths and of all in it: choosing one of them after all
    would undo by a lucky score what the weights did, and lost in every size that was measured.
    """
    evidence = context.evidence
    if any(h.probe == STACKED for h in heads):
        heads = [h for h in heads if h.probe in (STACKED, ADAPTED)]
    gains = [
        # single taps may be compared on a part of the rows; then the others are, too
        evidence.correct[str(h.probe)][evidence.compared]
        if h.probe in (ALL, ADAPTED, STACKED)
        else evidence.correct[str(h.probe)]
        for h in heads
    ]
    return heads[simplest_of_the_best(gains, evidence.groups[evidence.compared])]


def _challengers(context: Context, head: Proposal) -> tuple[tuple[Proposal, ...], list[Reason]]:
    """Return the options whose training is worth a trial, or why none is."""
    summary = context.summary
    if not context.settings.may_train:
        return (), [FrozenOnly()]
    why_not = why_not_race(summary)
    if why_not is not None:
        return (), [why_not]
    found = _entrants(context)
    if not found:
        return (), [NothingToRace()]
    gain, seconds = expected_gain(summary), _seconds_of_race(context, head, found)
    if gain < _least_gain(context):
        return (), [NotWorthRacing(gain=gain, seconds=seconds)]
    averaged_below = FEW_IMAGES if context.n_images < FEW_IMAGES else None
    reason = ToBeRaced(averaged_below=averaged_below, gain=gain, seconds=seconds)
    return found, [reason]


def _entrants(context: Context) -> tuple[Proposal, ...]:
    """The few that are likely to win; of many images every one that makes sense, if time is given.

    On few images each further option made the average worse, whatever time there was.
    """
    found: dict[str, Proposal] = {}
    few = context.n_images < FEW_IMAGES
    likely = RACED if context.thorough else PORTFOLIO_OF_MANY
    for propose in PORTFOLIO if few else likely:
        proposal = propose(context)
        if proposal is not None and makes_sense(context.summary, proposal.strategy, proposal.name):
            found.setdefault(proposal.name, proposal)
    every = tuple(found.values())
    return every if context.thorough and not few else every[: candidates_of(context.n_images)]


def _least_gain(context: Context) -> float:
    """What a race must promise; next to nothing where the time was given for it."""
    return FITTED.least_gain * (_OF_THE_PATIENT if context.thorough else 1.0)


def _seconds_of_race(context: Context, head: Proposal, trained: Sequence[Proposal]) -> float:
    """Nominal seconds of a race and of training what is likely to win it, an average or one."""
    work = plan_race(context, [head], trained)
    admitted = [e.proposal.seconds for e in work.entries]
    few = context.n_images < FEW_IMAGES
    return round(work.seconds + (sum(admitted) if few else max(admitted)), 1)
