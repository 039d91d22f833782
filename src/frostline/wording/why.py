"""What was decided in one sentence, and why in three."""

from __future__ import annotations

from functools import partial

from frostline.core.actions import Blend, LayerTraining, TapsHead
from frostline.core.plan import EvidenceSummary, Plan
from frostline.wording.cases import CASES
from frostline.wording.decision import task_of, textbook
from frostline.wording.metrics import METRICS, metric_sentences
from frostline.wording.numbers import number, percent, plural
from frostline.wording.reasons import reason_sentence
from frostline.wording.shift import looks
from frostline.wording.tasks import TASKS

_GIVEN = "This plan was given, so nothing was measured for it."


def headline(plan: Plan) -> str:
    """Say in one sentence what was done to the network."""
    return plan.action.dispatch(
        head=partial(_head, plan), layers=partial(_layers, plan), blend=partial(_blend, plan)
    )


def _head(plan: Plan, action: TapsHead) -> str:
    count = len(plan.frozen)
    frozen = plural(count, "layer")
    reads = "the last one" if len(action.taps) == 1 else f"{len(action.taps)} depths"
    if len(action.taps) == 1 and plan.cut is not None:
        reads = plan.cut
    kept = (" that is kept" if count == 1 else " that are kept") if plan.removed else ""
    all_of = "The only layer" if count == 1 else f"All {frozen}"
    text = f"{all_of}{kept} {_verb(count, 'stay')} frozen; a new {_head_words(plan)} reads {reads}."
    if action.adapts_statistics:
        text += (
            " Only the mean and the spread that norm layers expect were measured anew on your "
            "images, before that."
        )
    return text


def _head_words(plan: Plan) -> str:
    return TASKS[task_of(plan)].head


def _verb(count: int, verb: str) -> str:
    return f"{verb}s" if count == 1 else verb


def _blend(plan: Plan, action: Blend) -> str:
    frozen, trained = plural(len(plan.frozen), "layer"), plural(len(plan.trained), "layer")
    text = f"{len(action.members)} models are averaged"
    trains, stays = _verb(len(plan.trained), "train"), _verb(len(plan.frozen), "stay")
    if plan.trained:
        return (
            f"{text}; in at least one of them {trained} {trains}, {frozen} {stays} frozen in all."
        )
    return f"{text}; all {frozen} stay frozen, new {_head_words(plan)}s read them."


def _layers(plan: Plan, action: LayerTraining) -> str:
    frozen, trained = plural(len(plan.frozen), "layer"), plural(len(plan.trained), "layer")
    new = f"a new {_head_words(plan)}"
    new = f"new layers and {new}" if action.new_block else new
    gone = f"{plural(len(plan.removed), 'layer')} removed; " if plan.removed else ""
    # a budget may pay for a single one, which is good to know before the accuracy is read
    stays = _verb(len(plan.frozen), "stay")
    long = f"for {plural(action.epochs, 'epoch')}"
    if action.frozen_to is None:
        text = f"{gone}{_unfrozen(plan, action)} {long}, with {new}"
        return _sentence(f"{text}{_later(action)}.")
    if not plan.trained:
        return _sentence(f"{gone}{frozen} {stays} frozen; {new} train on top {long}.")
    trains = _verb(len(plan.trained), "train")
    return _sentence(f"{gone}{frozen} {stays} frozen, {trained} above {trains} {long}, with {new}.")


def _unfrozen(plan: Plan, action: LayerTraining) -> str:
    count = len(plan.trained)
    if action.norms_only:
        return f"only {plural(count, 'norm layer')} {_verb(count, 'train')}"
    if action.adapters is not None:
        return f"low-rank adapters train in {plural(len(plan.trained), 'layer')}"
    start = "from random weights" if action.from_scratch else "from its pretrained weights"
    return f"every layer trains {start}"


def _later(action: LayerTraining) -> str:
    later = action.frozen_later
    if later is None:
        return ""
    full = later.full_epochs(action.epochs)
    return f"; layers up to {later.freeze_to} stay as they are after {plural(full, 'epoch')}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def three_sentences(plan: Plan) -> list[str]:
    """Say why in at most three sentences: the data, what was measured, what settled it."""
    if plan.evidence is None:
        return plan.explanation[-3:] or [_GIVEN]
    sentences = [
        _data(plan, plan.evidence),
        " ".join([_measured(plan, plan.evidence), *_wanted(plan, plan.evidence)]),
    ]
    settled = _settled(plan)
    return [*sentences, settled] if settled else sentences


def _wanted(plan: Plan, evidence: EvidenceSummary) -> list[str]:
    return metric_sentences(plan.metric, task=evidence.task)


def _data(plan: Plan, evidence: EvidenceSummary) -> str:
    size = evidence.size
    label = {"small": "few", "medium": "a medium number", "large": "many"}[size.label]
    prior = textbook(plan)
    text = (
        f"{number(size.n_images)} training images {TASKS[evidence.task].outputs(size.n_classes)} "
        f"are {label}, and they {looks(evidence.shift)}"
    )
    if prior is None:
        return f"{text}."
    return f"{text}; the textbook would say: {CASES[prior].advice}."


def _measured(plan: Plan, evidence: EvidenceSummary) -> str:
    last = evidence.probe(evidence.last_tap)
    if evidence.task in ("single", "ordinal"):
        text = f"Frozen features alone classify {percent(last.accuracy)} of left-out images"
    else:
        text = f"Frozen features alone {TASKS[evidence.task].reach(percent(last.accuracy))}"
    text += " at the last layer"
    if evidence.best_tap != evidence.last_tap:
        best = evidence.probe(evidence.best_tap)
        text += f", {percent(best.accuracy)} at {best.tap}"
    text += f" and {percent(evidence.all_taps.accuracy)} with all depths together"
    trained = [c for c in plan.candidates if c.trains and not c.averages and c.score is not None]
    if trained:
        best_trained = max(trained, key=lambda c: c.score or 0.0)
        text += (
            f"; of {plural(len(trained), 'option')} that train layers, '{best_trained.name}' came "
            f"furthest with {percent(best_trained.score)}{_of(plan)}"
        )
    return f"{text}."


def _of(plan: Plan) -> str:
    return "" if plan.metric == "accuracy" else f" {METRICS[plan.metric]}"


def _settled(plan: Plan) -> str:
    """Say the last reason, and what it led to."""
    if plan.given:
        return f"Nothing was decided anew: this plan was given. It carries out: {plan.chosen}."
    if plan.reasons:
        settled = reason_sentence(plan.reasons[-1], plan.metric, task_of(plan))
        return f"{settled.rstrip('.')}, so the decision is: {plan.chosen}."
    return f"Chosen: {plan.chosen}." if plan.chosen else ""
