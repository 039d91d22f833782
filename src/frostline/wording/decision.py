"""The decision in words, from the facts of a plan."""

from __future__ import annotations

from frostline.core.plan import CandidateResult, EvidenceSummary, Plan
from frostline.core.reasons import Given
from frostline.core.settings import MetricName
from frostline.core.task import Task
from frostline.stats.intervals import wilson
from frostline.strategy.cases import CaseNumber, prior_case
from frostline.wording.cases import CASES, prior_words
from frostline.wording.evidence import (
    lookalikes_sentences,
    networks_sentences,
    probes_sentences,
    size_sentences,
)
from frostline.wording.metrics import metric_sentences
from frostline.wording.reasons import fate_words, reason_sentence, runner_up_sentence
from frostline.wording.resizing import resize_sentences
from frostline.wording.shift import shift_sentence
from frostline.wording.stacking import stacking_sentences
from frostline.wording.tasks import TASKS

_Z95 = 1.96
#: tasks whose score is a share of images
_SHARES = ("single", "ordinal")


def with_sentences(plan: Plan) -> Plan:
    """Return a decided plan with its sentences, which are made of its facts."""
    return plan.model_copy(
        update={
            "prior": "" if plan.prior_case is None else prior_words(plan.prior_case),
            "candidates": [_ended(one) for one in plan.candidates],
            "explanation": explanation(plan),
        }
    )


def with_given_sentence(plan: Plan) -> Plan:
    """Return a given plan that also says so; its other sentences stay as they were written."""
    return plan.model_copy(update={"explanation": [*plan.explanation, reason_sentence(Given())]})


def explanation(plan: Plan) -> list[str]:
    """Return short sentences: the data, the prior, what the probes say, the choice and why."""
    summary = plan.evidence
    return [
        *size_sentences(plan.backbone, plan.input_size, plan.pretraining_size),
        *networks_sentences(plan.networks, plan.metric),
        *resize_sentences(plan.resizes),
        *([] if summary is None else _measured(summary, plan.prior_case)),
        *(metric_sentences(plan.metric) if summary is None else _wanted(summary, plan.metric)),
        *(reason_sentence(reason, plan.metric, task_of(plan)) for reason in plan.reasons),
        f"Decision: {plan.chosen}.",
        *([f"Removed, as not needed: {', '.join(plan.removed)}."] if plan.removed else []),
        *_put_together(plan),
        *_departs(plan),
        *([] if summary is None else _expected(summary, plan.probe)),
        *([] if summary is None else _slope(summary)),
        *([] if plan.runner_up is None else [runner_up_sentence(plan.runner_up, task_of(plan))]),
    ]


def task_of(plan: Plan) -> Task:
    """Return what is predicted, as far as the evidence of a plan tells."""
    return "single" if plan.evidence is None else plan.evidence.task


def textbook(plan: Plan) -> CaseNumber | None:
    """Return the case that the textbook would name; plans of earlier versions do not tell."""
    if plan.prior_case is None and plan.evidence is not None:
        prior = prior_case(plan.evidence)
        return None if prior is None else prior.number
    return plan.prior_case


def _ended(one: CandidateResult) -> CandidateResult:
    if one.fate is None:
        return one
    return one.model_copy(update={"stopped": fate_words(one.fate, one.behind)})


def _measured(summary: EvidenceSummary, prior: CaseNumber | None) -> list[str]:
    size, words = summary.size, TASKS[summary.task]
    lines = [summary.shift.preprocessing] if summary.shift.preprocessing else []
    lines += [
        f"You have {size.n_images} training images {words.outputs(size.n_classes)} "
        f"(median {size.per_class:g} {words.each}): {size.label}.",
        shift_sentence(summary.shift),
    ]
    if prior is not None:
        case = CASES[prior]
        lines.append(f"The textbook calls this case {prior} ({case.data}): {case.advice}.")
    return [*lines, probes_sentences(summary), *lookalikes_sentences(summary)]


def _wanted(summary: EvidenceSummary, metric: MetricName) -> list[str]:
    return metric_sentences(metric, summary.all_taps.reached, summary.task)


def _put_together(plan: Plan) -> list[str]:
    found = plan.evidence
    if found is None or found.stacking is None or found.stacked is None:
        return []
    return stacking_sentences(found.stacking) if plan.probe == found.stacked.tap else []


def _departs(plan: Plan) -> list[str]:
    if plan.prior_case in (None, plan.case):
        return []
    advice = CASES[plan.prior_case].advice
    if plan.probe is not None:
        return [f"This departs from the textbook ({advice}), because the evidence does."]
    return [f"This departs from the textbook's advice ({advice})."]


def _expected(summary: EvidenceSummary, probe: str | None) -> list[str]:
    """What new images can be expected to give, from training images left out."""
    if probe is None:
        return []
    score, n = summary.probe(probe), summary.size.n_images
    if summary.task in _SHARES:
        low, high = wilson(round(score.accuracy * n), n)
    else:
        reach = _Z95 * score.standard_error
        low, high = score.accuracy - reach, min(1.0, score.accuracy + reach)
    return [
        f"Expected {TASKS[summary.task].score} on new images: {score.accuracy:.0%} ({low:.0%} to "
        f"{high:.0%}), from training images left out one at a time."
    ]


def _slope(summary: EvidenceSummary) -> list[str]:
    if summary.slope <= 0:
        return []
    return [
        f"The last doubling of the images gave frozen features {summary.slope * 100:+.1f} "
        "points; the next one can be expected to give less."
    ]
