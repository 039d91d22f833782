"""The first screen: what was decided, how good it is, why."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.plan import Plan
from frostline.core.run_record import Metrics, RunRecord
from frostline.core.score_record import HeldOutScores
from frostline.report.charts.gauge import gauge_chart
from frostline.report.charts.svg import Chart
from frostline.wording.metrics import metric_words
from frostline.wording.numbers import interval, number, percent
from frostline.wording.scores import measured_words, without_leaks_sentence
from frostline.wording.tasks import TASKS, task_judged
from frostline.wording.why import headline, three_sentences

#: what the number on top is, by the name of the score
_SCORES = {
    "Accuracy": "of images classified rightly",
    "Mean precision": "mean average precision of the labels",
    "R2": "of the variance explained",
    "Score": "",
}


@dataclass(frozen=True)
class Fact:
    """One number beside the accuracy."""

    value: str
    name: str
    more: str = ""


@dataclass(frozen=True)
class Result:
    """What the first screen shows."""

    chosen: str
    headline: str
    sentences: list[str]
    score: str
    accuracy: str
    interval: str
    measured: str
    gauge: Chart
    facts: list[Fact]
    caveats: list[str]
    notes: list[str]
    changed: bool


def result(record: RunRecord) -> Result:
    """Arrange the first screen."""
    plan, metrics = record.plan, record.metrics
    test = metrics.test
    return Result(
        chosen=plan.chosen,
        headline=headline(plan),
        sentences=three_sentences(plan),
        score=_SCORES[test.headline.name],
        accuracy=percent(test.headline.value),
        interval=interval(test.headline.interval),
        measured=measured_words(metrics),
        gauge=_gauge(plan, test),
        facts=_facts(test),
        caveats=list(metrics.caveats),
        notes=_notes(metrics),
        changed=not metrics.frozen_verified,
    )


def _gauge(plan: Plan, test: HeldOutScores) -> Chart:
    chance = None if plan.evidence is None else plan.evidence.chance
    if test.baseline is not None:
        # runs of earlier versions know that of the training images only
        chance = test.baseline.accuracy
    head = test.headline
    value = _within(head.value or 0.0)
    low, high = head.interval or (value, value)
    return gauge_chart(
        value, (_within(low), _within(high)), chance=chance, words=TASKS[task_judged(test)]
    )


def _within(value: float) -> float:
    """R2 may be below 0, where nothing is explained."""
    return min(max(value, 0.0), 1.0)


def _facts(test: HeldOutScores) -> list[Fact]:
    facts = []
    if test.metric_score is not None:
        name, score, more = metric_words(test)
        facts.append(Fact(score, f"{name}: what every choice was made for", more))
    expected, ends = test.expected_accuracy, test.expected_interval
    if test.method == "cross-validation" and expected is not None and ends is not None:
        name = "expected of this model, which learned from all images"
        facts.append(Fact(percent(expected), name, interval(ends)))
    balanced = f"balanced accuracy, every {TASKS[task_judged(test)].one} counting alike"
    further = [
        (test.balanced_accuracy, percent, balanced, interval(test.balanced_accuracy_interval)),
        (test.qwk, number, "quadratic-weighted kappa, 1 at best", _ends(test.qwk_interval)),
        (test.mean_error, number, "mean absolute error", _ends(test.mae_interval)),
        (test.within_one, percent, "at most one grade off", ""),
        (test.micro_f1, number, "micro F1, from 0 to 1", _ends(test.micro_f1_interval)),
        (test.macro_f1, number, "macro F1, from 0 to 1", _ends(test.macro_f1_interval)),
        (test.nll, number, "negative log-likelihood, in nats", ""),
    ]
    return [
        *facts,
        *(Fact(say(value), name, more) for value, say, name, more in further if value is not None),
    ]


def _ends(ends: tuple[float | None, float | None] | None) -> str:
    return "" if ends is None or None in ends else f"{number(ends[0])} to {number(ends[1])}"


def _notes(metrics: Metrics) -> list[str]:
    without = metrics.test.without_leaks
    notes = [] if without is None else [without_leaks_sentence(without, metrics.n_test)]
    return [*notes, *metrics.notes]
