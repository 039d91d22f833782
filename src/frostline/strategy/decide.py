"""From evidence to a plan: the textbook is where it starts, the evidence where it ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.backbone.network import Network
from frostline.errors import PlanError
from frostline.plan import Action, CandidateResult, Plan, SuffixTraining, TapsHead
from frostline.strategy.candidates import CLOSED_FORM, TRAINED
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cases import Case, case_of, counts_as_large, prior_case
from frostline.strategy.context import Context
from frostline.strategy.words import explain

#: a simpler option is taken when it loses at most this much accuracy, and at most one error
_TIE = 0.005
#: removing layers must gain at least this much accuracy
_CUT_PAYS = 0.01
#: frozen features that leave less than this to gain are good enough
_GOOD_ENOUGH = 0.03
#: train minus leave-one-out accuracy below which more trainable layers can help
_BIAS_LIMITED_GAP = 0.05
#: with fewer images per class gradients only memorise
_FEWEST_PER_CLASS = 5


@dataclass(frozen=True)
class Decision:
    """A plan, and what to fall back to if its training does not beat the frozen features."""

    plan: Plan
    fallback: Proposal | None


def decide(context: Context) -> Decision:
    """Choose what to remove, freeze and train.

    With a strategy other than ``auto`` that strategy is carried out as it is defined; the
    evidence is still written down next to it.
    """
    prior = prior_case(context.summary)
    heads = _scored_heads(context)
    head = _simplest_of_the_best(context, [proposal for proposal, _ in heads])
    asked = context.settings.strategy
    reasons: list[str] = []
    trained: Proposal | None = None
    if asked == "auto":
        wanted, reasons = _worth_training(context, prior)
        trained = TRAINED[wanted](context) if wanted else None
    elif asked != "head":
        trained = TRAINED[asked](context)
        reasons = [f"You asked for the strategy {asked!r}."]
    else:
        reasons = ["You asked for the strategy 'head'."]
    chosen = trained or head
    candidates = [
        result.model_copy(update={"stopped": "chosen" if proposal == chosen else result.stopped})
        for proposal, result in heads
    ]
    if trained is not None:
        candidates.append(
            CandidateResult(
                name=trained.name,
                kind=trained.action.kind,
                score=None,
                standard_error=None,
                seconds=trained.seconds,
                stopped="chosen",
            )
        )
    plan = make_plan(context, chosen, prior=prior, candidates=candidates, reasons=reasons)
    return Decision(plan, fallback=head if asked == "auto" and trained is not None else None)


def make_plan(
    context: Context,
    chosen: Proposal,
    *,
    prior: Case,
    candidates: list[CandidateResult],
    reasons: list[str],
) -> Plan:
    """Write a proposal down as a plan, with the layers it removes, freezes, trains and adds."""
    parts = Parts.of(context.network, chosen.action)
    return Plan(
        case=case_of(chosen.strategy),
        prior=f"case {prior.number}: {prior.data}: {prior.advice}",
        strategy=context.settings.strategy,
        chosen=chosen.name,
        backbone=context.network.name,
        cut=parts.cut,
        removed=parts.removed,
        frozen=parts.frozen,
        trained=parts.trained,
        new=parts.new,
        seed=context.settings.seed,
        action=chosen.action,
        evidence=context.summary,
        candidates=candidates,
        explanation=explain(context.summary, chosen, prior, reasons, candidates, parts.removed),
        estimated_seconds=round(chosen.seconds, 1),
    )


def redescribe(plan: Plan, network: Network) -> Plan:
    """Bring the layer lists of an edited plan in line with its action.

    Raises
    ------
    PlanError
        If the plan was made for another network.
    CutError
        If it names a layer that does not exist.
    """
    if plan.backbone != network.name:
        raise PlanError(
            f"The plan was made for the backbone {plan.backbone!r}, not {network.name!r}.",
            hint=f"Add --backbone {plan.backbone}.",
        )
    parts = Parts.of(network, plan.action)
    return plan.model_copy(
        update={
            "cut": parts.cut,
            "removed": parts.removed,
            "frozen": parts.frozen,
            "trained": parts.trained,
            "new": parts.new,
            "explanation": [*plan.explanation, "This plan was given, not decided."],
        }
    )


@dataclass(frozen=True)
class Parts:
    """Which layers an action removes, freezes, trains and adds, by name."""

    cut: str | None
    removed: list[str]
    frozen: list[str]
    trained: list[str]
    new: list[str]

    @classmethod
    def of(cls, network: Network, action: Action) -> Parts:
        """Work out the parts from the network's cuts.

        Raises
        ------
        CutError, PlanError
            If a layer does not exist or lies on the wrong side.
        """
        if isinstance(action, TapsHead):
            top = max((network.cut(name) for name in action.taps), key=lambda c: c.position)
            freeze_to: str | None = top.name
        else:
            top = network.last if action.keep_to is None else network.cut(action.keep_to)
            freeze_to = action.freeze_to if isinstance(action, SuffixTraining) else None
            if freeze_to is not None and network.cut(freeze_to).position >= top.position:
                raise PlanError(
                    f"freeze_to={freeze_to!r} must lie below the last kept layer {top.name!r}."
                )
        whole = top.position == network.last.position
        if freeze_to is None:
            frozen, trained = [], network.layers(to=top.name)
        elif freeze_to == top.name:
            frozen, trained = network.layers(to=top.name), []
        else:
            frozen = network.layers(to=freeze_to)
            trained = network.layers(after=freeze_to, to=top.name)
        block = not isinstance(action, TapsHead) and action.new_block
        return cls(
            cut=None if whole else top.name,
            removed=[] if whole else network.layers(after=top.name),
            frozen=frozen,
            trained=trained,
            new=["new", "head"] if block else ["head"],
        )


def _scored_heads(context: Context) -> list[tuple[Proposal, CandidateResult]]:
    """Return every head in closed form with its leave-one-out score, the simplest first."""
    scores = {p.tap: p for p in (*context.summary.probes, context.summary.all_taps)}
    found = []
    for propose in CLOSED_FORM.values():
        proposal = propose(context)
        if proposal is None or proposal.probe is None:
            continue
        score = scores[proposal.probe]
        result = CandidateResult(
            name=proposal.name,
            kind=proposal.action.kind,
            score=score.accuracy,
            standard_error=score.standard_error,
            seconds=0.0,
            stopped="scored by leave-one-out",
        )
        found.append((proposal, result))
    return found


def _simplest_of_the_best(context: Context, heads: list[Proposal]) -> Proposal:
    """Return the first head that loses at most one paired error and one point to the best."""
    evidence = context.evidence
    correct = {
        # single taps may be compared on a part of the rows; then all taps are, too
        h.name: evidence.correct["all"][evidence.compared]
        if h.probe == "all"
        else evidence.correct[str(h.probe)]
        for h in heads
    }
    best = max(heads, key=lambda h: float(np.mean(correct[h.name])))
    for head in heads:
        loss = correct[best.name].astype(float) - correct[head.name]
        error = float(np.std(loss)) / np.sqrt(len(loss))
        if loss.mean() <= min(error, _TIE):
            return head
    return best


def _worth_training(context: Context, prior: Case) -> tuple[str | None, list[str]]:
    """Return the strategy whose training is worth trying (None: none is), and why."""
    summary = context.summary
    size, shift = summary.size, summary.shift
    if not context.settings.may_train:
        return None, ["Effort 'fast' uses frozen features only."]
    if size.per_class < _FEWEST_PER_CLASS:
        return None, [
            f"With {size.per_class:g} images per class, training layers would only memorise them."
        ]
    if summary.headroom < _GOOD_ENOUGH:
        return None, [
            f"Frozen features already reach {1 - summary.headroom:.1%}: little is left to gain."
        ]
    if shift.label == "different" and shift.kind == "feature" and _cut_pays(context):
        return "cut", [
            f"The layers above {summary.best_tap} lose {summary.cut_gain:.1%} on these images, "
            "which differ most in the high layers: they go."
        ]
    if counts_as_large(size):
        return "finetune", ["There are enough images to adapt the network to them."]
    if shift.label == "different":
        return "finetune", [
            "The images look unlike the pretraining photos, and no cut repairs that: "
            "the whole network adapts, starting from the fitted head."
        ]
    if summary.gap < _BIAS_LIMITED_GAP:
        return "finetune", [
            "Frozen features fit even the training images badly: they are the limit, "
            "not the amount of data."
        ]
    return None, [
        "Few images that look like the pretraining photos: frozen features are the safe choice."
    ]


def _cut_pays(context: Context) -> bool:
    return context.summary.cut_gain > max(context.summary.cut_gain_error, _CUT_PAYS)
