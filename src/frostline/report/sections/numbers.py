"""Predicted numbers beside the true ones, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frostline.core.operating_record import IntervalScores
from frostline.core.score_record import ColumnScores, HeldOutScores
from frostline.report.charts.scatter import scatter_chart
from frostline.report.charts.svg import Chart
from frostline.wording.numbers import interval, number
from frostline.wording.operating import interval_sentences

#: columns whose dots are drawn
_DRAWN = 6


@dataclass(frozen=True)
class ColumnRow:
    """One column, with the ends of its intervals."""

    scores: ColumnScores
    r2_ends: str
    mae_ends: str
    interval: IntervalScores | None
    coverage_ends: str


@dataclass(frozen=True)
class NumbersView:
    """What the section shows: a drawing for each of the first columns, and a row for every one.

    ``told``: how far intervals reach, and how often they held.
    """

    charts: list[Chart]
    rows: list[ColumnRow]
    told: list[str]


def numbers(test: HeldOutScores, intervals: Sequence[IntervalScores] = ()) -> NumbersView | None:
    """Arrange the columns; None where no numbers are predicted."""
    if not test.per_column:
        return None
    own = {one.column: one for one in intervals}
    drawn = [one for one in test.per_column if one.points][:_DRAWN]
    return NumbersView(
        charts=[scatter_chart(one, _radius(own.get(one.column))) for one in drawn],
        rows=[
            ColumnRow(
                one,
                interval(one.r2_interval),
                _ends(one.mae_interval),
                own.get(one.column),
                interval(own[one.column].coverage_interval) if one.column in own else "–",
            )
            for one in test.per_column
        ],
        told=interval_sentences(intervals),
    )


def _radius(found: IntervalScores | None) -> float | None:
    return None if found is None else found.radius


def _ends(ends: tuple[float | None, float | None] | None) -> str:
    return "–" if ends is None else f"{number(ends[0])} to {number(ends[1])}"
