"""One accuracy, or the score that a task has in its place, with its interval and chance."""

from __future__ import annotations

from frostline.report.charts.axis import Scale, below, whole_percent
from frostline.report.charts.svg import WIDTH, Chart, Dot, Line, Mark, Rect, Text
from frostline.wording.numbers import interval, percent
from frostline.wording.tasks import TASKS, TaskWords

_LEFT, _RIGHT, _Y, _BOTTOM = 14.0, WIDTH - 14.0, 30.0, 48.0


def gauge_chart(
    value: float,
    ends: tuple[float, float],
    *,
    chance: float | None,
    words: TaskWords = TASKS["single"],
) -> Chart:
    """Lay out a value between its ends; all in [0, 1]. ``words``: of what is predicted."""
    scale = Scale(0.0, 1.0, _LEFT, _RIGHT)
    x, low, high = scale.at(value), scale.at(ends[0]), scale.at(ends[1])
    marks: list[Mark] = below(scale, _BOTTOM, words.axis, whole_percent, top=_Y - 8)
    marks += [
        Rect(_LEFT, _Y - 5, _RIGHT - _LEFT, 10, "track", 5),
        Rect(low, _Y - 5, max(2.0, high - low), 10, "range", 5),
        Dot(x, _Y, 7, "dot frozen"),
    ]
    said = f"{words.reached(percent(value))}, 95% interval {interval(ends)}"
    if chance is not None:
        at = scale.at(chance)
        far = abs(at - x) > 20
        marks.append(Line(at, _Y - 10, at, _Y + 10, "reference"))
        if far:
            anchor = "start" if at < WIDTH / 2 else "end"
            marks.append(Text(at, _Y - 15, f"chance {percent(chance)}", "dim", anchor))
        said += f"; chance would give {percent(chance)}"
    return Chart(words.heading, f"{said[:1].upper()}{said[1:]}.", WIDTH, _BOTTOM + 34, marks)
