"""Predicted against true numbers."""

from __future__ import annotations

from frostline.core.score_record import ColumnScores
from frostline.report.charts.axis import Scale, below, beside
from frostline.report.charts.svg import WIDTH, Chart, Dot, Line, Mark
from frostline.wording.numbers import number

_LEFT, _TOP, _BOTTOM, _RIGHT = 58.0, 26.0, 318.0, 350.0
#: rows of the table beside the drawing
_ROWS = 40


def scatter_chart(one: ColumnScores, radius: float | None = None) -> Chart:
    """Lay out one dot an image; on the dashed line both numbers agree.

    ``radius``: of the intervals around predicted numbers, whose band is drawn.
    """
    values = [value for point in one.points for value in point]
    low, high = min(values), max(values)
    margin = 0.03 * (high - low) or 1.0
    up = Scale(low - margin, high + margin, _BOTTOM, _TOP)
    across = Scale(low - margin, high + margin, _LEFT, _RIGHT)
    marks: list[Mark] = beside(up, _LEFT, "predicted", _short, right=_RIGHT)
    marks += below(across, _BOTTOM, "true", _short, top=_TOP)
    marks.append(Line(across.at(low), up.at(low), across.at(high), up.at(high), "reference"))
    marks += [] if radius is None else _band(across, up, low, high, radius)
    marks += [Dot(across.at(true), up.at(said), 3, "point") for true, said in one.points]
    step = max(1, len(one.points) // _ROWS)
    return Chart(
        name=f"Predicted and true {one.column}",
        summary=f"{len(one.points):,} images, true numbers from {_short(one.points[0][0])} to "
        f"{_short(one.points[-1][0])}. R2 is {number(one.r2)}, the mean absolute error "
        f"{number(one.mae)}.",
        width=WIDTH,
        height=_BOTTOM + 36,
        marks=marks,
        columns=("true", "predicted"),
        rows=[(_short(true), _short(said)) for true, said in one.points[::step]],
    )


def _band(across: Scale, up: Scale, low: float, high: float, radius: float) -> list[Mark]:
    """Return both edges of the band that intervals make, inside the drawing."""
    found: list[Mark] = []
    for offset in (-radius, radius):
        first, last = max(low, low - offset), min(high, high - offset)
        if first < last:
            ends = (across.at(first), up.at(first + offset), across.at(last), up.at(last + offset))
            found.append(Line(*ends, "band"))
    return found


def _short(value: float) -> str:
    return f"{value:.4g}"
