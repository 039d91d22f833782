"""Which classes an image may be of, and which images are better left to people."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.operating_record import AbstentionPoint, LabelSetScores, SetScores
from frostline.core.run_record import Metrics
from frostline.report.charts.abstention import abstention_chart
from frostline.report.charts.svg import Chart
from frostline.wording.operating import abstention_sentences, label_sentences, set_sentences
from frostline.wording.tasks import TASKS, TaskWords

#: sizes of sets that have a row of their own, and classes that are named
_SIZES, _NAMED = 8, 3


@dataclass(frozen=True)
class SizeRow:
    """How many judged images have sets of one size; ``more``: of this size or larger."""

    size: int
    images: int
    share: float
    more: bool = False


@dataclass(frozen=True)
class LabelRow:
    """One of several labels; ``chosen``: under the bound that was asked for."""

    label: str
    sets: LabelSetScores
    either: float | None
    chosen: AbstentionPoint | None


@dataclass(frozen=True)
class AnswersView:
    """What the section shows; what a run does not tell is empty or None.

    ``lowest``: classes whose images had their class in the set least often. ``labels`` and
    ``of_labels``: the same where an image may have several.
    """

    sets: list[str]
    sizes: list[SizeRow]
    lowest: list[tuple[str, float]]
    abstention: list[str]
    chart: Chart | None
    labels: list[str]
    of_labels: list[LabelRow]


def answers(
    metrics: Metrics, classes: tuple[str, ...], words: TaskWords = TASKS["single"]
) -> AnswersView | None:
    """Arrange sets and abstention; None for runs of earlier versions.

    ``words``: of what is predicted.
    """
    sets, abstention = metrics.sets, metrics.abstention
    labels = label_sentences(metrics.label_sets, metrics.label_abstention)
    if sets is None and abstention is None and not labels:
        return None
    points = () if abstention is None else abstention.curve
    asked = None if abstention is None else abstention.at_most_wrong
    return AnswersView(
        sets=[] if sets is None else set_sentences(sets, words),
        sizes=[] if sets is None else _sizes(sets),
        lowest=[] if sets is None else _lowest(sets, classes),
        abstention=[] if abstention is None else abstention_sentences(abstention),
        chart=abstention_chart(points, asked) if points else None,
        labels=labels,
        of_labels=_of_labels(metrics),
    )


def _of_labels(metrics: Metrics) -> list[LabelRow]:
    kept = {one.label: one.chosen for one in metrics.label_abstention}
    rows = []
    for one in metrics.label_sets:
        total = sum(one.sizes)
        either = one.sizes[2] / total if one.sizes[2:] else 0.0
        rows.append(LabelRow(one.label, one, either if total else None, kept.get(one.label)))
    return rows


def _sizes(sets: SetScores) -> list[SizeRow]:
    total = sum(sets.sizes)
    rows = [
        SizeRow(size, images, images / total)
        for size, images in enumerate(sets.sizes[: _SIZES + 1])
        if images
    ]
    if rest := sum(sets.sizes[_SIZES + 1 :]):
        rows.append(SizeRow(_SIZES + 1, rest, rest / total, more=True))
    return rows


def _lowest(sets: SetScores, classes: tuple[str, ...]) -> list[tuple[str, float]]:
    pairs = zip(classes, sets.class_coverage, strict=False)
    known = [(name, share) for name, share in pairs if share is not None]
    return sorted(known, key=lambda pair: pair[1])[:_NAMED] if len(known) > _NAMED else known
