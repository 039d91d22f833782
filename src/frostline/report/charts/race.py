"""The options that were compared."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.plan import CandidateResult
from frostline.core.settings import MetricName
from frostline.report.charts.rows import ABOVE, Row, row_marks
from frostline.report.charts.svg import WIDTH, Chart
from frostline.wording.metrics import METRICS
from frostline.wording.numbers import listed, percent, plural, seconds

KINDS = {
    "taps_head": "new head on frozen layers",
    "suffix": "upper layers train",
    "full": "every kept layer trains",
    "blend": "average of several options",
}


def race_chart(
    candidates: Sequence[CandidateResult], *, chosen: str, metric: MetricName = "accuracy"
) -> Chart:
    """Lay out one row an option, in the order in which they were looked at."""
    rows = [_row(one, one.name == chosen) for one in candidates]
    scored = [one for one in candidates if one.score is not None]
    marks, height = row_marks(
        rows,
        chance=None,
        title=f"{METRICS[metric]} on left-out training images (%)",
        layout=ABOVE,
    )
    best = max(scored, key=lambda one: one.score or 0.0, default=None)
    said = f"{plural(len(candidates), 'option')}, {len(scored)} of them scored"
    if best is not None:
        said += f"; the highest score is {percent(best.score)} of {best.name}"
    return Chart(
        name="The options that were compared",
        summary=f"{said}. Chosen: {listed([chosen])}.",
        width=WIDTH,
        height=height,
        marks=marks,
    )


def _row(one: CandidateResult, chosen: bool) -> Row:
    cost = f", {seconds(one.seconds)}" if one.seconds else ""
    return Row(
        name=one.name,
        value=one.score,
        error=one.standard_error,
        said=f"{percent(one.score)}{cost}",
        tip=f"{one.name} ({KINDS[one.kind]}): {percent(one.score)}, standard error "
        f"{percent(one.standard_error)}, {seconds(one.seconds)}; {one.stopped}",
        kind=f"{'trained' if one.trains else 'frozen'}{' chosen' if chosen else ''}",
        note="" if one.score is not None else "not scored",
    )
