"""The first screen: what was decided, how good it is, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frostline.report.charts.gauge import gauge_chart
from frostline.report.charts.svg import Chart
from frostline.report.data import ReportData
from frostline.report.why import headline, three_sentences
from frostline.wording.numbers import interval, is_number, number, percent

METHODS = {
    "given": "the test part that came with the data",
    "held-out": "held out and looked at once",
    "cross-validation": "by cross-validation: every image judged by a model that never saw it",
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
    accuracy: str
    interval: str
    measured: str
    gauge: Chart | None
    facts: list[Fact]
    caveats: list[str]
    notes: list[str]
    changed: bool


def result(data: ReportData) -> Result:
    """Arrange the first screen."""
    test: Mapping[str, Any] = data.metrics.get("test") or {}
    return Result(
        chosen=data.plan.chosen,
        headline=headline(data.plan),
        sentences=three_sentences(data.plan),
        accuracy=percent(test.get("accuracy")),
        interval=interval(test.get("accuracy_interval")),
        measured=_measured(data),
        gauge=_gauge(data, test),
        facts=_facts(test),
        caveats=list(data.metrics.get("caveats") or []),
        notes=_notes(data, test),
        changed=data.metrics.get("frozen_verified") is False,
    )


def _measured(data: ReportData) -> str:
    method = METHODS.get((data.metrics.get("test") or {}).get("method", ""), "")
    count = data.metrics.get("n_test")
    if not is_number(count):
        return method
    return f"{number(count)} images, {method}" if method else f"{number(count)} images"


def _gauge(data: ReportData, test: Mapping[str, Any]) -> Chart | None:
    ends = test.get("accuracy_interval")
    if not is_number(test.get("accuracy")) or not ends or not all(map(is_number, ends)):
        return None
    evidence = data.plan.evidence
    chance = (test.get("baseline") or {}).get("accuracy")
    if chance is None and evidence is not None:
        # runs of earlier versions know that of the training images only
        chance = evidence.chance
    return gauge_chart(test["accuracy"], (ends[0], ends[1]), chance=chance)


def _facts(test: Mapping[str, Any]) -> list[Fact]:
    facts = []
    if test.get("method") == "cross-validation" and test.get("expected_interval"):
        facts.append(
            Fact(
                percent(test.get("expected_accuracy")),
                "expected of this model, which learned from all images",
                interval(test["expected_interval"]),
            )
        )
    facts += [
        Fact(
            percent(test.get("balanced_accuracy")),
            "balanced accuracy, every class counting alike",
            interval(test.get("balanced_accuracy_interval")),
        ),
        Fact(number(test.get("macro_f1")), "macro F1, from 0 to 1"),
        Fact(number(test.get("nll")), "negative log-likelihood, in nats"),
    ]
    return [fact for fact in facts if is_number_text(fact.value)]


def is_number_text(text: str) -> bool:
    """Whether a number was there to be written down."""
    return any(letter.isdigit() for letter in text)


def _notes(data: ReportData, test: Mapping[str, Any]) -> list[str]:
    notes = []
    without = test.get("without_leaks")
    if without:
        count = (data.metrics.get("n_test") or 0) - (without.get("n") or 0)
        notes.append(
            f"Without the {number(count)} images that also occur in another given part: "
            f"{percent(without.get('accuracy'))} "
            f"(95% interval {interval(without.get('accuracy_interval'))})."
        )
    return [*notes, *(data.metrics.get("notes") or [])]
