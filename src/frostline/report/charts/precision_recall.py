"""Precision against recall of one label."""

from __future__ import annotations

from frostline.core.score_record import ClassScores
from frostline.report.charts.axis import Scale, below, beside, whole_percent
from frostline.report.charts.svg import WIDTH, Chart, Dot, Hit, Line, Mark, Path
from frostline.wording.numbers import percent

_LEFT, _TOP, _BOTTOM, _RIGHT = 46.0, 26.0, 220.0, 350.0


def precision_recall_chart(one: ClassScores) -> Chart:
    """Lay out the curve of a label, and where its threshold lies on it.

    The dashed line is the share of images with the label: the precision of a guess.
    """
    up, across = Scale(0.0, 1.0, _BOTTOM, _TOP), Scale(0.0, 1.0, _LEFT, _RIGHT)
    marks: list[Mark] = beside(up, _LEFT, "precision", whole_percent, right=_RIGHT)
    marks += below(across, _BOTTOM, "recall", whole_percent, top=_TOP)
    share = one.positives / max(1, one.known)
    marks.append(Line(across.at(0), up.at(share), across.at(1), up.at(share), "reference"))
    marks.append(Path([(across.at(r), up.at(p)) for r, p in one.curve], "curve"))
    if one.recall is not None and one.precision is not None:
        marks.append(Dot(across.at(one.recall), up.at(one.precision), 5, "dot frozen"))
    half = 0.5 * (across.at(0.025) - across.at(0.0))
    marks += [
        Hit(
            across.at(recall) - half,
            _TOP,
            2 * half,
            _BOTTOM - _TOP,
            f"recall {percent(recall)}: precision {percent(precision)}",
        )
        for recall, precision in one.curve
    ]
    return Chart(
        name=f"{one.label}: precision and recall",
        summary=f"Average precision {percent(one.average_precision)}; the label is given with "
        f"precision {percent(one.precision)} and recall {percent(one.recall)}. "
        f"{percent(share)} of the images have it.",
        width=WIDTH,
        height=_BOTTOM + 36,
        marks=marks,
        columns=("recall", "precision"),
        rows=[(percent(recall), percent(precision)) for recall, precision in one.curve],
    )
