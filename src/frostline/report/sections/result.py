"""The first screen: what was decided, how good it is, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frostline.report.charts.gauge import gauge_chart
from frostline.report.charts.svg import Chart
from frostline.report.data import ReportData
from frostline.wording.numbers import interval, is_number, number, percent
from frostline.wording.why import headline, three_sentences

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
    expected = test.get("expected_accuracy")
    crossed = test.get("method") == "cross-validation"
    if crossed and test.get("expected_interval") and is_number(expected):
        facts.append(
            Fact(
                percent(expected),
                "expected of this model, which learned from all images",
                interval(test["expected_interval"]),
            )
        )
    balanced, f1, nll = (test.get(name) for name in ("balanced_accuracy", "macro_f1", "nll"))
    if is_number(balanced):
        ends = interval(test.get("balanced_accuracy_interval"))
        name = "balanced accuracy, every class counting alike"
        facts.append(Fact(percent(balanced), name, ends))
    if is_number(f1):
        facts.append(Fact(number(f1), "macro F1, from 0 to 1"))
    if is_number(nll):
        facts.append(Fact(number(nll), "negative log-likelihood, in nats"))
    return facts


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
