"""Several labels: each by itself, which come together, and which sets are mistaken how."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.score_record import ClassScores, HeldOutScores, LabelPair, SetMistake
from frostline.report.charts.precision_recall import precision_recall_chart
from frostline.report.charts.svg import Chart
from frostline.wording.numbers import interval

#: curves that are drawn, the hardest labels first
_CURVES = 6
#: rows of the tables of mistakes and of pairs
_ROWS = 15


@dataclass(frozen=True)
class LabelRow:
    """One label; ``ends`` are those of its average precision."""

    scores: ClassScores
    ends: str


@dataclass(frozen=True)
class PairRow:
    """Two labels, and how many times as often as by chance they come together."""

    pair: LabelPair
    lift: float


@dataclass(frozen=True)
class LabelsView:
    """What the section shows; ``exact`` is the share of images all whose labels are right."""

    rows: list[LabelRow]
    curves: list[Chart]
    mistakes: list[SetMistake]
    more_mistakes: int
    pairs: list[PairRow]
    exact: float | None
    exact_ends: str


def labels(test: HeldOutScores) -> LabelsView | None:
    """Arrange the labels, the hardest first; None where images have one class."""
    if not any(row.known for row in test.per_class):
        return None
    ranked = sorted(test.per_class, key=lambda row: _of(row.average_precision))
    return LabelsView(
        rows=[LabelRow(row, interval(row.average_precision_interval)) for row in ranked],
        curves=[precision_recall_chart(row) for row in ranked if row.curve][:_CURVES],
        mistakes=list(test.mistakes[:_ROWS]),
        more_mistakes=max(0, len(test.mistakes) - _ROWS),
        pairs=[PairRow(pair, pair.images / pair.expected) for pair in test.pairs[:_ROWS]],
        exact=test.exact_match,
        exact_ends=interval(test.exact_match_interval),
    )


def _of(value: float | None) -> float:
    # labels that nothing could be judged on come last
    return 2.0 if value is None else value
