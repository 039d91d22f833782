"""How many images are answered, and how many of these wrongly, by the bound on wrong answers."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.operating_record import AbstentionPoint
from frostline.report.charts.axis import Scale, below, beside, whole_percent
from frostline.report.charts.svg import WIDTH, Chart, Dot, Hit, Line, Mark
from frostline.wording.numbers import interval, percent
from frostline.wording.operating import bound_words, chosen_words

_LEFT, _TOP, _BOTTOM, _RIGHT = 46.0, 26.0, 260.0, 350.0
#: the axis of wrong answers ends no lower
_LEAST_TOP = 0.02


def abstention_chart(points: Sequence[AbstentionPoint], asked: float | None) -> Chart:
    """Lay out the realised share of wrong answers over the share of images that is answered.

    ``points``: at least one, by rising bound. ``asked``: the bound that is kept, drawn larger.
    """
    most = max([_LEAST_TOP, *(p.wrong_interval[1] for p in points if p.wrong_interval)])
    across, up = Scale(0.0, 1.0, _LEFT, _RIGHT), Scale(0.0, most, _BOTTOM, _TOP)
    marks: list[Mark] = beside(up, _LEFT, "wrong among answers (%)", whole_percent, right=_RIGHT)
    marks += below(across, _BOTTOM, "images that are answered (%)", whole_percent, top=_TOP)
    hits: list[Mark] = []
    before: tuple[float, float] | None = None
    for point in points:
        if point.wrong is None or point.wrong_interval is None:
            continue
        here = (across.at(point.answered), up.at(point.wrong))
        low, high = (up.at(end) for end in point.wrong_interval)
        if before is not None:
            marks.append(Line(*before, *here, "reference"))
        kept = point.at_most_wrong == asked
        marks.append(Line(here[0], low, here[0], high, "whisker"))
        marks.append(Dot(*here, 6 if kept else 4, "dot trained" if kept else "dot frozen"))
        hits.append(Hit(here[0] - 6, _TOP, 12, _BOTTOM - _TOP, _tip(point)))
        before = here
    return Chart(
        name="Answers and mistakes",
        summary=f"{_tip(points[0])}. {_tip(points[-1])}.",
        width=WIDTH,
        height=_BOTTOM + 36,
        marks=[*marks, *hits],
        columns=("at most wrong", "answered", "95% interval", "of these wrong", "95% interval"),
        rows=[
            (
                bound_words(point.at_most_wrong),
                percent(point.answered),
                interval(point.answered_interval),
                percent(point.wrong),
                interval(point.wrong_interval),
            )
            for point in points
        ],
    )


def _tip(point: AbstentionPoint) -> str:
    return f"At most {bound_words(point.at_most_wrong)} wrong: {chosen_words(point)}"
