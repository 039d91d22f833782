"""How often predictions of each confidence are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from frostline.core.score_record import Bin
from frostline.report.charts.axis import Scale, below, beside, whole_percent
from frostline.report.charts.svg import WIDTH, Chart, Dot, Hit, Line, Mark
from frostline.stats.intervals import wilson
from frostline.wording.numbers import interval, number, percent

_LEFT, _TOP, _BOTTOM, _RIGHT = 46.0, 26.0, 300.0, 350.0
#: bins with fewer predictions than this are joined with their neighbours
_FEWEST = 10
#: and so are those that would lie on top of each other
_CLOSE = 0.03


@dataclass(frozen=True)
class Group:
    """Predictions of about the same confidence; shares in [0, 1]."""

    n: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


def joined(bins: Sequence[Bin], *, fewest: int = _FEWEST) -> list[Group]:
    """Join neighbouring bins until each has enough predictions to say anything, and room."""
    groups: list[list[Bin]] = []
    for one in bins:
        if groups and (
            sum(part.n for part in groups[-1]) < fewest
            or one.confidence - groups[-1][0].confidence < _CLOSE
        ):
            groups[-1].append(one)
        else:
            groups.append([one])
    if len(groups) > 1 and sum(part.n for part in groups[-1]) < fewest:
        last = groups.pop()
        groups[-1] += last
    return [_group(parts) for parts in groups]


def _group(parts: Sequence[Bin]) -> Group:
    n = sum(part.n for part in parts)
    right = round(sum(part.n * part.accuracy for part in parts))
    return Group(
        n=n,
        confidence=sum(part.n * part.confidence for part in parts) / n,
        accuracy=right / n,
        interval=wilson(right, n),
    )


def reliability_chart(groups: Sequence[Group]) -> Chart:
    """Lay out accuracy over confidence; the diagonal is where both agree."""
    up = Scale(0.0, 1.0, _BOTTOM, _TOP)
    across = Scale(0.0, 1.0, _LEFT, _RIGHT)
    marks: list[Mark] = beside(up, _LEFT, "accuracy (% right)", whole_percent, right=_RIGHT)
    marks += below(across, _BOTTOM, "confidence (%, mean of the group)", whole_percent, top=_TOP)
    marks += [Line(across.at(0), up.at(0), across.at(1), up.at(1), "reference")]
    most = max(group.n for group in groups)
    for group in groups:
        x = across.at(group.confidence)
        low, high = (up.at(end) for end in group.interval)
        marks += [
            Line(x, low, x, high, "whisker"),
            Line(x - 4, low, x + 4, low, "whisker"),
            Line(x - 4, high, x + 4, high, "whisker"),
            Dot(x, up.at(group.accuracy), 3 + 4 * math.sqrt(group.n / most), "dot frozen"),
        ]
    marks += [
        Hit(across.at(group.confidence) - 8, _TOP, 16, _BOTTOM - _TOP, _tip(group))
        for group in groups
    ]
    return Chart(
        name="Accuracy by confidence",
        summary=f"{len(groups)} groups of predictions. {_tip(groups[0])}. {_tip(groups[-1])}.",
        width=WIDTH,
        height=_BOTTOM + 36,
        marks=marks,
        columns=("confidence", "accuracy", "95% interval", "predictions"),
        rows=[
            (
                percent(group.confidence),
                percent(group.accuracy),
                interval(group.interval),
                number(group.n),
            )
            for group in groups
        ],
    )


def _tip(group: Group) -> str:
    return (
        f"{number(group.n)} predictions of {percent(group.confidence)} confidence: "
        f"{percent(group.accuracy)} right ({interval(group.interval)})"
    )
