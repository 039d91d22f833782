"""Predicted numbers beside the true ones, column by column."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.run_record import ColumnScores, HeldOutScores
from frostline.report.charts.scatter import scatter_chart
from frostline.report.charts.svg import Chart
from frostline.wording.numbers import interval, number

#: columns whose dots are drawn
_DRAWN = 6


@dataclass(frozen=True)
class ColumnRow:
    """One column, with the ends of its intervals."""

    scores: ColumnScores
    r2_ends: str
    mae_ends: str


@dataclass(frozen=True)
class NumbersView:
    """What the section shows: a drawing for each of the first columns, and a row for every one."""

    charts: list[Chart]
    rows: list[ColumnRow]


def numbers(test: HeldOutScores) -> NumbersView | None:
    """Arrange the columns; None where no numbers are predicted."""
    if not test.per_column:
        return None
    return NumbersView(
        charts=[scatter_chart(one) for one in test.per_column if one.points][:_DRAWN],
        rows=[
            ColumnRow(one, interval(one.r2_interval), _ends(one.mae_interval))
            for one in test.per_column
        ],
    )


def _ends(ends: tuple[float | None, float | None] | None) -> str:
    return "–" if ends is None else f"{number(ends[0])} to {number(ends[1])}"
