"""Accuracies as dots with intervals, a row each, over one common axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frostline.report.charts.axis import Scale, accuracy_scale, below, whole_percent
from frostline.report.charts.svg import WIDTH, Dot, Hit, Line, Mark, Text, room_for

#: half of a 95 % interval, in standard errors
Z95 = 1.96
#: chance lies on the axis if it is at most so many times as far off as the rows are apart
_FAR, _LEAST_SPREAD = 2.0, 0.1


@dataclass(frozen=True)
class Row:
    """One accuracy in [0, 1] with its standard error; ``value`` None has a ``note`` instead."""

    name: str
    value: float | None
    error: float | None
    said: str
    tip: str
    kind: str
    note: str = ""

    @property
    def ends(self) -> tuple[float, float]:
        """The 95 % interval, within [0, 1]."""
        value, reach = self.value or 0.0, Z95 * (self.error or 0.0)
        return max(0.0, value - reach), min(1.0, value + reach)


@dataclass(frozen=True)
class Layout:
    """Where rows lie: with names ``over`` their marks, or to the left of them."""

    over: bool
    left: float
    right: float
    row: float
    top: float = 4.0


BESIDE = Layout(over=False, left=116.0, right=WIDTH - 48.0, row=24.0)
ABOVE = Layout(over=True, left=8.0, right=WIDTH - 8.0, row=42.0)


def row_scale(rows: Sequence[Row], chance: float | None, layout: Layout) -> Scale:
    """Return the axis that holds all intervals, and chance where that does not squeeze them."""
    values = [end for row in rows if row.value is not None for end in row.ends]
    if chance is not None and values:
        spread = max(values) - min(values)
        if min(values) - chance < _FAR * max(spread, _LEAST_SPREAD):
            values.append(chance)
    return accuracy_scale(values, start=layout.left, stop=layout.right)


#: room for the frost line between two rows
GAP = 20.0


def row_marks(
    rows: Sequence[Row], *, chance: float | None, title: str, layout: Layout, line: int = 0
) -> tuple[list[Mark], float]:
    """Draw the rows, the axis below them and chance; return the marks and the height.

    Between rows ``line - 1`` and ``line`` there is room for the frost line (0 for none).
    """
    scale = row_scale(rows, chance, layout)
    bottom = layout.top + len(rows) * layout.row + (GAP if line else 0.0)
    marks = below(scale, bottom, title, whole_percent, top=layout.top)
    height = bottom + 36
    if chance is not None:
        middle = (layout.left + layout.right) / 2
        shown = scale.low <= chance <= scale.high
        said = f"{whole_percent(round(chance, 3))}"
        text = f"dashed: chance, {said}" if shown else f"chance, {said}, lies further left"
        marks.append(Text(middle, bottom + 47, text, "title", "middle"))
        height = bottom + 52
        if shown:
            x = scale.at(chance)
            marks.append(Line(x, layout.top, x, bottom, "reference"))
        else:
            chance = None
    for i, row in enumerate(rows):
        top = layout.top + i * layout.row + (GAP if line and i >= line else 0.0)
        marks += _row(row, top, scale, chance, layout)
    return marks, height


def _row(row: Row, top: float, scale: Scale, chance: float | None, layout: Layout) -> list[Mark]:
    middle = top + (layout.row - 12 if layout.over else layout.row / 2)
    hit = Hit(0, top, WIDTH, layout.row, row.tip)
    if layout.over:
        said = row.note or row.said
        name = room_for(row.name, WIDTH - 10 - 6.3 * len(said) - 14)
        marks: list[Mark] = [
            Text(8, top + 16, name, f"row-name {row.kind}"),
            Text(WIDTH - 8, top + 16, said, "dim" if row.note else f"value {row.kind}", "end"),
        ]
    else:
        marks = [
            Text(
                layout.left - 8, middle + 4, room_for(row.name, 104), f"row-name {row.kind}", "end"
            ),
            Text(WIDTH, middle + 4, row.said, f"value {row.kind}", "end"),
        ]
    if row.value is None:
        return [*marks, Line(layout.left, middle, layout.right, middle, "missing"), hit]
    low, high = row.ends
    x = scale.at(row.value)
    if chance is not None:
        marks.append(Line(scale.at(chance), middle, x, middle, f"stem {row.kind}"))
    return [
        *marks,
        Line(scale.at(low), middle, scale.at(high), middle, "whisker"),
        Line(scale.at(low), middle - 4, scale.at(low), middle + 4, "whisker"),
        Line(scale.at(high), middle - 4, scale.at(high), middle + 4, "whisker"),
        Dot(x, middle, 5, f"dot {row.kind}"),
        hit,
    ]
